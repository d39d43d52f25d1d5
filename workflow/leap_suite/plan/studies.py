"""Studies: cells beside the grid, each an entry of the section `studies` and a target of its name.

An entry defines its cells in one of three ways: as a `grid`, as `variants` of one method, or as
`amounts` of text.
"""

import re
from collections.abc import Container, Iterator, Mapping
from typing import Any

from leap_suite.plan import calibration, grid, tokens
from leap_suite.plan.cell import DENSE, Cell
from leap_suite.plan.methods import can_have, known_methods, lent_by, methods_that_are, pattern_of
from leap_suite.plan.validation import ConfigError, refuse, unknown_name

KINDS = ("grid", "variants", "amounts")


def names(settings: Mapping[str, Any]) -> list[str]:
    """Names of the studies in the settings."""
    return list(settings.get("studies", {}))


def section(name: str, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Settings of a study. Raises ConfigError for an unknown one."""
    known = names(settings)
    if name not in known:
        raise ConfigError(
            f"scale {settings['scale']} has no target or study "
            f"{unknown_name(name, known) if known else repr(name)}; scale mini has most studies, "
            f"and a section studies.{name} makes one"
        )
    return {"measure": "test", **settings["studies"][name]}


def cells_of(name: str, settings: Mapping[str, Any]) -> list[Cell]:
    """Cells of a study. Raises ConfigError for an unknown study and for too little text."""
    sizes = {
        method: f"studies.{name}.{kind}.{setting}"
        for kind, values in _definitions(name, settings)
        for method, (setting, own) in methods_in(values).items()
        if "calibration" in own
    }
    refuse(calibration.problems(settings, sizes))
    return _cells_of(name, settings)


def all_cells(settings: Mapping[str, Any]) -> list[Cell]:
    """Distinct cells of the grid and of all studies."""
    found = grid.cells(settings)
    for name in names(settings):
        found += _cells_of(name, settings)
    return list(dict.fromkeys(found))


def methods_of(name: str, settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Settings of a study's methods, by name."""
    return {method: settings["methods"][method] for method in _as_grid(name, settings)["methods"]}


def sections(settings: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Definitions of the cells of grid and studies, by place in the settings."""
    found = {"grid": settings["grid"]}
    for name, study in settings.get("studies", {}).items():
        found |= {f"studies.{name}.{kind}": study[kind] for kind in KINDS if kind in study}
    return found


def methods_in(values: Mapping[str, Any]) -> tokens.Methods:
    """Methods that such a definition names or makes."""
    if "base" in values:
        base, variants = values["base"], values["variants"].items()
        made = {f"{base}-{v}": (f"variants.{v}", {"like": base, **own}) for v, own in variants}
        return {base: ("base", {}), **made}
    if "trained" in values:
        return tokens.methods(values)
    return {name: ("methods", {}) for name in values.get("methods", [])}


def with_variants(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """`methods`, and those that studies make: <base>-<variant>, <base>-<N>-steps and so on."""
    found = dict(settings["methods"])
    for values in sections(settings).values():
        found |= {name: own for name, (_, own) in methods_in(values).items() if own}
    return found


def places(settings: Mapping[str, Any]) -> dict[str, str]:
    """Place of every method in the settings, except of those made from amounts of text."""
    found = {name: f"methods.{name}" for name in settings["methods"]}
    for place, values in sections(settings).items():
        variants = methods_in(values) if "base" in values else {}
        found |= {name: f"{place}.{setting}" for name, (setting, own) in variants.items() if own}
    return found


def problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """Unknown methods and models, duplicate method names, and sparsities unfit for paths."""
    written, methods, known = dict(settings["methods"]), with_variants(settings), known_methods()
    for place, values in sections(settings).items():
        for name, (setting, own) in methods_in(values).items():
            if own and written.setdefault(name, own) != own:
                yield f"{place}.{setting}: there is another method {name}; rename one of them"
            elif name not in methods:
                hint = f"there is no method {unknown_name(name, known, methods)}"
                hint = f"give its settings under methods.{name}" if name in known else hint
                yield f"{place}.{setting}: {name!r} has no settings: {hint}"
        for name in values["models"]:
            if name not in settings["models"]:
                named = unknown_name(name, sorted(settings["models"]))
                yield f"{place}.models: there is no model {named} under models"
    for place, sparsity, _ in _sparsities(settings):
        if not re.fullmatch(r"0\.\d{1,6}", Cell.at("", "", sparsity).sparsity):
            yield (
                f"{place}: {sparsity} cannot be used: it names folders, so write 0.0001 or more, "
                "with at most six decimals"
            )


def pattern_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """Sparsities that a method's pattern excludes."""
    for place, sparsity, demanded in _sparsities(settings):
        for name in demanded:
            method = settings["implementations"][name], settings["methods"][name]
            if not can_have(*method, sparsity):
                yield f"{place}: {sparsity} is impossible with pattern {pattern_of(*method)}"


def training_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """A missing training corpus, where a method of grid, studies or their lenders is trained."""
    listed = [name for values in sections(settings).values() for name in methods_in(values)]
    run = lent_by(listed, settings) & methods_that_are("trained", settings)
    if run and "training" not in settings["corpora"]:
        name = next(name for name in settings["methods"] if name in run)
        yield f"corpora.training: must be set, since {name} is trained on it"


def refuse_names(settings: Mapping[str, Any], taken: Container[str]) -> None:
    """Raise ConfigError for studies with names of other targets or files, one line each."""
    both = [name for name in names(settings) if name in taken]
    refuse(f"studies.{name}: the name is taken; use another" for name in both)


def figures_of(name: str, settings: Mapping[str, Any]) -> dict[str, str]:
    """Figures of a study, by the name of their files: the study's, or <study>_<figure> of several.

    Raises ConfigError for an unknown study.
    """
    asked = section(name, settings).get("figure", [])
    figures = [asked] if isinstance(asked, str) else asked
    return {name if len(figures) == 1 else f"{name}_{figure}": figure for figure in figures}


def refuse_unfit(
    settings: Mapping[str, Any], tables: Mapping[str, str], figures: Mapping[str, str]
) -> None:
    """Raise ConfigError for studies with an unknown or unsuitable table or figure, one line each.

    Tables and figures are given with their kind of studies: one of `KINDS`, or `validation` for
    those with this measure, or "" for all with measure `test`.
    """
    refuse(_unfit(settings, {"table": tables, "figure": figures}))


def _unfit(settings: Mapping[str, Any], known: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    files = [file for name in names(settings) for file in figures_of(name, settings)]
    for name in names(settings):
        study, figures = section(name, settings), figures_of(name, settings)
        for file in (file for file in figures if files.count(file) > 1):
            yield f"studies.{name}: another study has figures/{file}; rename one of them"
        for key, shown in [("table", study["table"]), *(("figure", f) for f in figures.values())]:
            place, kinds = f"studies.{name}.{key}", known[key]
            if shown not in kinds:
                yield f"{place}: there is no {key} {unknown_name(shown, kinds)}"
            elif kinds[shown] in KINDS and kinds[shown] not in study:
                yield f"{place}: {shown} is for studies of {kinds[shown]}; name another"
            elif (kinds[shown] == "validation") != (study["measure"] == "validation"):
                measure = f"measure {study['measure']}"
                yield f"{place}: {shown} does not show {measure}; name another {key} or measure"


def _sparsities(settings: Mapping[str, Any]) -> Iterator[tuple[str, float, list[str]]]:
    """Sparsities of grid and studies: place, value, and the methods that must have it, if any."""
    for place, values in sections(settings).items():
        every = [*methods_in(values)] if "sparsity" in values or "trained" in values else []
        for number, value in enumerate(values.get("sparsities", [])):
            yield f"{place}.sparsities.{number}", value, every
        for method, own in grid.own_sparsities(values).items():
            for number, value in enumerate(own):
                yield f"{place}.methods.{method}.{number}", value, [method]
        if "sparsity" in values:
            yield f"{place}.sparsity", values["sparsity"], every


def _as_grid(name: str, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """A study's cells as a grid, with a list of its one sparsity where it has one."""
    [(_, values)] = _definitions(name, settings)
    if "trained" in values:
        return {**values, "methods": [*tokens.points(name, settings)]}
    if "base" in values:
        return {**values, "methods": [*methods_in(values)], "sparsities": [values["sparsity"]]}
    return values


def _definitions(name: str, settings: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The one section with a study's cells, and its kind."""
    return [(key, value) for key, value in section(name, settings).items() if key in KINDS]


def _cells_of(name: str, settings: Mapping[str, Any]) -> list[Cell]:
    """Cells of dense and every method; of variants without dense, as they have their base."""
    values = _as_grid(name, settings)
    found = grid.cells_of(settings, values)
    return [cell for cell in found if cell.method != DENSE] if "base" in values else found

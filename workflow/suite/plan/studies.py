"""Studies: cells beside the grid, each an entry of any name in the section `studies`.

An entry says its cells in one of three ways: as a `grid`, as `variants` of one method, or as
`amounts` of text. Its name is that of its target.
"""

from collections.abc import Container, Iterator, Mapping
from typing import Any

from suite.plan import calibration, grid, tokens
from suite.plan.cell import DENSE, Cell
from suite.plan.validation import ConfigError, refuse, unknown_name

KINDS = ("grid", "variants", "amounts")


def names(settings: Mapping[str, Any]) -> list[str]:
    """The studies that the settings have."""
    return list(settings.get("studies", {}))


def section(name: str, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is set of a study. Raises ConfigError where there is none of that name."""
    if name not in names(settings):
        raise ConfigError(
            f"{name}: scale {settings['scale']} has none; use mini, or write a section "
            f"studies.{name}"
        )
    return {"measure": "test", **settings["studies"][name]}


def cells_of(name: str, settings: Mapping[str, Any]) -> list[Cell]:
    """The cells of a study. Raises ConfigError where there are none, or too little text for one."""
    shown = methods_in(section(name, settings).get("amounts", {}))
    sizes = {
        m: f"studies.{name}.amounts.{s}" for m, (s, own) in shown.items() if "calibration" in own
    }
    refuse(calibration.problems(settings, sizes))
    return _cells_of(name, settings)


def all_cells(settings: Mapping[str, Any]) -> list[Cell]:
    """The cells of the grid and of every study that the settings have, each once."""
    found = grid.cells(settings)
    for name in names(settings):
        found += _cells_of(name, settings)
    return list(dict.fromkeys(found))


def methods_of(name: str, settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The settings of a study's methods, by name."""
    return {method: settings["methods"][method] for method in _as_grid(name, settings)["methods"]}


def sections(settings: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """What says the cells of the grid and of every study, by its place in the settings."""
    found = {"grid": settings["grid"]}
    for name, study in settings.get("studies", {}).items():
        found |= {f"studies.{name}.{kind}": study[kind] for kind in KINDS if kind in study}
    return found


def methods_in(values: Mapping[str, Any]) -> tokens.Methods:
    """The methods that such a section has or makes."""
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
    """Where each method is written, by its name, but for those that are amounts of text."""
    found = {name: f"methods.{name}" for name in settings["methods"]}
    for place, values in sections(settings).items():
        variants = methods_in(values) if "base" in values else {}
        found |= {name: f"{place}.{setting}" for name, (setting, own) in variants.items() if own}
    return found


def sparsities(settings: Mapping[str, Any]) -> Iterator[tuple[str, float, list[str]]]:
    """Every sparsity of the grid and of the studies, behind the setting that asks for it.

    With it stand the methods that it is set for, if not for any.
    """
    for place, values in sections(settings).items():
        for number, value in enumerate(values.get("sparsities", [])):
            yield f"{place}.sparsities.{number}", value, []
        for method, own in grid.own_sparsities(values).items():
            for number, value in enumerate(own):
                yield f"{place}.methods.{method}.{number}", value, [method]
        if "sparsity" in values:
            yield f"{place}.sparsity", values["sparsity"], [*methods_in(values)]


def kind_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """Studies that do not say their cells in one way."""
    for name, study in settings.get("studies", {}).items():
        found = [kind for kind in KINDS if kind in study]
        if len(found) != 1:
            instead = f", not {' and '.join(found)}" if found else ""
            yield f"studies.{name}: set one of {', '.join(KINDS)}{instead}"


def problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """Methods that there are not, and names that two methods would have."""
    written, methods = dict(settings["methods"]), with_variants(settings)
    for place, values in sections(settings).items():
        for name, (setting, own) in methods_in(values).items():
            if own and written.setdefault(name, own) != own:
                yield f"{place}.{setting}: there is another method {name}; rename one of them"
            if setting != "methods" and name not in methods:
                meant = unknown_name(name, sorted(settings["methods"]))
                yield f"{place}.{setting}: there is no method {meant} under methods"


def refuse_names(settings: Mapping[str, Any], taken: Container[str]) -> None:
    """Raise ConfigError for studies with the names of other targets or files, one line each."""
    both = [name for name in names(settings) if name in taken]
    refuse(f"studies.{name}: the name is taken; use another" for name in both)


def refuse_unfit(
    settings: Mapping[str, Any], tables: Mapping[str, str], figures: Mapping[str, str]
) -> None:
    """Raise ConfigError for studies that cannot be shown so, one line each.

    Tables and figures say which studies they are for: those with this way of saying their cells, or
    with the measure `validation`; "" for all that are tested.
    """
    refuse(_unfit(settings, {"table": tables, "figure": figures}))


def _unfit(settings: Mapping[str, Any], known: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    for name in names(settings):
        study = section(name, settings)
        for key, kinds in ((key, kinds) for key, kinds in known.items() if key in study):
            place, shown = f"studies.{name}.{key}", study[key]
            if shown not in kinds:
                yield f"{place}: there is no {key} {unknown_name(shown, kinds)}"
            elif kinds[shown] in KINDS and kinds[shown] not in study:
                yield f"{place}: {shown} is for studies of {kinds[shown]}; name another"
            elif (kinds[shown] == "validation") != (study["measure"] == "validation"):
                yield (
                    f"{place}: {shown} does not show what measure {study['measure']} gives; name "
                    f"another {key} or measure"
                )


def _as_grid(name: str, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The cells of a study as a grid, with a list of its sparsity where it has one."""
    (values,) = (values for key, values in section(name, settings).items() if key in KINDS)
    if "methods" in values:
        return values
    methods = methods_in(values) if "base" in values else tokens.points(name, settings)
    return {**values, "methods": [*methods], "sparsities": [values["sparsity"]]}


def _cells_of(name: str, settings: Mapping[str, Any]) -> list[Cell]:
    """Dense and every method; but variants are compared with their base alone."""
    values = _as_grid(name, settings)
    found = grid.cells_of(settings, values)
    return [cell for cell in found if cell.method != DENSE] if "base" in values else found

"""Studies: cells beside the grid, each with a section of its own in the settings."""

from collections.abc import Iterator, Mapping
from typing import Any

from suite.plan import calibration, grid, tokens
from suite.plan.cell import DENSE, Cell
from suite.plan.methods import methods_that_are, written_pattern
from suite.plan.validation import ConfigError, unknown_name

# for the settings of one method, on validation text
SEARCHES = ("leap_search", "elsa_search", "admm_search", "alps_search", "reconstruct_search")
VARIED = ("ablations", *SEARCHES)  # variants of one method
COMPARED = ("allocation", "opponents")  # grids of which a table has a row a method
GRIDS = ("sweep", *COMPARED)
STUDIES = ("patterns", *GRIDS, "tokens", *VARIED)


def cells_of(study: str, settings: Mapping[str, Any]) -> list[Cell]:
    """The cells of a study. Raises ConfigError where there are none, or too little text for one."""
    if study not in settings:
        raise ConfigError(
            f"{study}: scale {settings['scale']} has none; use mini, or write a section {study}"
        )
    lacking = (
        calibration.problems(settings, tokens.calibrated(settings)) if study == "tokens" else ()
    )
    if problems := "\n".join(lacking):
        raise ConfigError(problems)
    return _cells_of(study, settings)


def _cells_of(study: str, settings: Mapping[str, Any]) -> list[Cell]:
    if study in GRIDS:
        return grid.cells_of(settings, settings[study])
    if study == "tokens":
        return _token_cells(settings)
    return _pattern_cells(settings) if study == "patterns" else _varied_cells(study, settings)


def all_cells(settings: Mapping[str, Any]) -> list[Cell]:
    """The cells of the grid and of every study that the settings have, each once."""
    found = grid.cells(settings)
    for study in STUDIES:
        found += _cells_of(study, settings) if study in settings else []
    return list(dict.fromkeys(found))


def recorded_stages(cell: Cell, trained: bool) -> list[str]:
    """The jobs that lead to a cell's evaluation, and that are recorded."""
    if cell.method == DENSE:
        return ["evaluate"]
    return ["train" if trained else "prune", "harden", "evaluate"]


def settings_of(study: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a varied study's methods, by name."""
    return {name: settings["methods"][name] for name in _methods_of(study, settings)}


def with_variants(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """`methods`, and one more for every variant of a study: <base>-<variant>."""
    methods = {name: dict(values) for name, values in settings["methods"].items()}
    for study in VARIED:
        base = settings.get(study, {}).get("base")
        for variant, changes in settings.get(study, {}).get("variants", {}).items():
            methods[f"{base}-{variant}"] = {"like": base, **changes}
    return methods | tokens.variants(settings)


def places(settings: Mapping[str, Any]) -> dict[str, str]:
    """Where each method is written, by its name, but for those that the study `tokens` makes."""
    found = {name: f"methods.{name}" for name in settings["methods"]}
    for study in VARIED:
        base = settings.get(study, {}).get("base")
        for variant in settings.get(study, {}).get("variants", {}):
            found[f"{base}-{variant}"] = f"{study}.variants.{variant}"
    return found


def sparsities(settings: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Every sparsity of the grid and of the studies, behind the setting that asks for it."""
    lists = {
        f"{section}.sparsities": settings[section]["sparsities"]
        for section in ("grid", *GRIDS)
        if section in settings
    }
    by_method = settings.get("patterns", {}).get("methods", {})
    lists |= {f"patterns.methods.{name}": values for name, values in by_method.items()}
    for place, values in lists.items():
        yield from ((f"{place}.{number}", value) for number, value in enumerate(values))
    for study in ("tokens", *VARIED):
        if study in settings:
            yield f"{study}.sparsity", settings[study]["sparsity"]


def problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """Methods that studies vary and that there are not, one line each."""
    known, methods = sorted(settings["methods"]), with_variants(settings)
    named = [(f"{study}.base", settings[study]["base"]) for study in VARIED if study in settings]
    named += tokens.named(settings)
    for setting, name in named:
        if name not in methods:
            yield f"{setting}: there is no method {unknown_name(name, known)} under methods"


def written_patterns(settings: Mapping[str, Any]) -> dict[str, str]:
    """How the table of patterns writes the pattern of each of its methods."""
    names = settings["patterns"]["methods"]
    implementations, methods = settings["implementations"], settings["methods"]
    written = {name: written_pattern(implementations[name], methods[name]) for name in names}
    return {DENSE: "dense", **written}


def _methods_of(study: str, settings: Mapping[str, Any]) -> list[str]:
    base = settings[study]["base"]
    return [base, *(f"{base}-{variant}" for variant in settings[study]["variants"])]


def _varied_cells(study: str, settings: Mapping[str, Any]) -> list[Cell]:
    """Every method of the study with every model and seed, at its one sparsity."""
    values = settings[study]
    stochastic = methods_that_are("stochastic", settings)
    return [
        Cell.at(model, method, values["sparsity"], seed)
        for model in values["models"]
        for method in _methods_of(study, settings)
        for seed in (values["seeds"] if method in stochastic else [0])
    ]


def _token_cells(settings: Mapping[str, Any]) -> list[Cell]:
    """Dense and every amount of text of every method, at the study's one sparsity."""
    values = settings["tokens"]
    methods = list(tokens.points(settings))
    return grid.cells_of(
        settings, {**values, "methods": methods, "sparsities": [values["sparsity"]]}
    )


def _pattern_cells(settings: Mapping[str, Any]) -> list[Cell]:
    """Dense and every method at its own sparsities, with the grid's first seed."""
    stochastic = methods_that_are("stochastic", settings)
    found = []
    for model in settings["patterns"]["models"]:
        found.append(Cell.dense(model))
        for method, sparsities in settings["patterns"]["methods"].items():
            seed = settings["grid"]["seeds"][0] if method in stochastic else 0
            found += [Cell.at(model, method, value, seed) for value in sparsities]
    return found

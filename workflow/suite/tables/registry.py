"""The tables: each is a function of its name in a module of its name, and a line here.

A function takes `Results` and `Told`, and gives the text of every format.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module

from suite.results.frame import Results
from suite.tables.told import Told


@dataclass(frozen=True)
class Table:
    """Its formats, and what has it: every grid, or studies that name it.

    `study` says which studies can: those that say their cells so, or the measure `validation`.
    """

    formats: tuple[str, ...]
    of_grid: bool = False
    study: str = ""


TABLES: Mapping[str, Table] = {
    "main": Table(("csv", "md", "tex"), of_grid=True),
    "main_tabular": Table(("tex",), of_grid=True),
    "headline": Table(("json",), of_grid=True),
    "verdict": Table(("md",), of_grid=True),
    "against_published": Table(("csv", "md"), of_grid=True),  # of the paper's models
    "comparison": Table(("csv", "md")),
    "tokens": Table(("csv", "md"), study="amounts"),
    "ablations": Table(("csv", "md"), study="variants"),
    "search": Table(("csv", "md"), study="validation"),
}

# figures of the results alone, which a study can name, and for which studies they are
STUDY_FIGURES = {
    **dict.fromkeys(("patterns", "sweep", "quality", "gain", "cost"), ""),
    "tokens": "amounts",
    "ablations": "variants",
}


def table(name: str) -> Callable[[Results, Told], Mapping[str, str]]:
    """The function that makes a table."""
    function: Callable[[Results, Told], Mapping[str, str]]
    function = getattr(import_module(f"suite.tables.{name}"), name)
    return function

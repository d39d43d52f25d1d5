"""Registry of tables: each is a function of its module's name, and a line here.

The function takes `Results` and `Context`, and returns the text of every format.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module

from leap_suite.results.frame import Results
from leap_suite.tables.context import Context


@dataclass(frozen=True)
class Table:
    """Formats of a table, and whether every grid has it.

    Only studies with the section `study`, or with the measure `validation`, can name it, and none
    if it also shows the `measured` speed of cells.
    """

    formats: tuple[str, ...]
    of_grid: bool = False
    study: str = ""
    measured: bool = False


TABLES: Mapping[str, Table] = {
    "main": Table(("csv", "md", "tex"), of_grid=True),
    "main_tabular": Table(("tex",), of_grid=True),
    "headline": Table(("json",), of_grid=True),
    "verdict": Table(("md",), of_grid=True),
    "against_published": Table(("csv", "md"), of_grid=True),  # of the paper's models
    "speed": Table(("csv", "md"), measured=True),
    "comparison": Table(("csv", "md")),
    "tokens": Table(("csv", "md"), study="amounts"),
    "budget": Table(("csv", "md"), study="amounts"),
    "ablations": Table(("csv", "md"), study="variants"),
    "search": Table(("csv", "md"), study="validation"),
}

# figures that a study can name, and the section that it needs
STUDY_FIGURES = {
    **dict.fromkeys(("patterns", "sweep", "quality", "gain", "cost"), ""),
    **dict.fromkeys(("tokens", "budget", "shipped"), "amounts"),
    "ablations": "variants",
}


def table(name: str) -> Callable[[Results, Context], Mapping[str, str]]:
    """Function of a table."""
    return getattr(import_module(f"leap_suite.tables.{name}"), name)

"""The tables: each is a function of its name in a module of its name, and a line here.

A function takes `Results` and `Told`, and gives the text of every format.
"""

from collections.abc import Callable, Mapping
from importlib import import_module

from suite.results.frame import Results
from suite.tables.told import Told

Table = Callable[[Results, Told], Mapping[str, str]]

# its formats; those of a grid first, then those of studies
TABLES: Mapping[str, tuple[str, ...]] = {
    "main": ("csv", "md", "tex"),
    "main_tabular": ("tex",),
    "headline": ("json",),
    "verdict": ("md",),
    "against_published": ("csv", "md"),
    "comparison": ("csv", "md"),
    "tokens": ("csv", "md"),
    "ablations": ("csv", "md"),
    "search": ("csv", "md"),
}


def table(name: str) -> Table:
    """The function that makes a table."""
    function: Table = getattr(import_module(f"suite.tables.{name}"), name)
    return function

"""What the report's tests share."""

from pathlib import Path

import pytest

from tests.unit.report.example_grid import Grid, write_grid
from tests.unit.report.example_page import write_example
from tests.unit.report.html_tree import Element, parse


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small report."""
    return write_example(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="session")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Grid:
    """The report of a whole grid, and what it was made of."""
    return write_grid(tmp_path_factory.mktemp("grid"))


@pytest.fixture(scope="session")
def html(grid: Grid) -> Element:
    """The page of the grid."""
    return parse(grid.page.read_text())

"""What the report's tests share."""

from pathlib import Path

import pytest

from tests.unit.made import Made
from tests.unit.report.example_grid import AGAINST, Grid, write_cells, write_grid
from tests.unit.report.example_page import write_example
from tests.unit.report.html_tree import Element, parse


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small report."""
    return write_example(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="session")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The files of a whole grid."""
    return write_cells(tmp_path_factory.mktemp("cells"))


@pytest.fixture(scope="session", params=AGAINST)
def grid(request, cells: Made, tmp_path_factory: pytest.TempPathFactory) -> Grid:
    """The report of the grid about one subject, and what it was made of."""
    return write_grid(cells, request.param, tmp_path_factory.mktemp("grid"))


@pytest.fixture(scope="session")
def html(grid: Grid) -> Element:
    """The page of the grid."""
    return parse(grid.page.read_text())

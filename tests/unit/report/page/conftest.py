"""Reports that the page's tests share."""

import pytest

from tests.unit.made import Made
from tests.unit.report.page.example import NOBODY, Report, write_cells, write_report


@pytest.fixture(scope="session")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The files of a grid."""
    return write_cells(tmp_path_factory.mktemp("cells"))


@pytest.fixture(scope="session", params=["leap", "wanda", NOBODY])
def report(request, cells: Made, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report of the grid about one subject; Wanda's has a note."""
    note = {"note": "Miniature models, generated tasks"} if request.param == "wanda" else {}
    return write_report(cells, request.param, tmp_path_factory.mktemp("report"), note)

"""What the report's tests share."""

from pathlib import Path

import pytest

from tests.unit.report.example_page import write_example


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small report."""
    return write_example(tmp_path_factory.mktemp("page"))

"""CONTRIBUTING's example of a new figure, followed to the letter on a finished run."""

from pathlib import Path

import pytest

from tests.workflow.documented import documented_files

pytestmark = pytest.mark.heavy

MODULE, CAPTION, TABLE = (
    "workflow/suite/figures/scatter.py",
    "workflow/report/scatter.rst",
    "workflow/rules/figures.smk",
)


@pytest.fixture
def extended(own_smoke_run) -> Path:
    files = documented_files(own_smoke_run, "Add a figure")
    assert set(files) == {MODULE, CAPTION, TABLE}
    for name in (MODULE, CAPTION):
        assert not (own_smoke_run / name).exists()
        (own_smoke_run / name).write_text(files[name])
    table = own_smoke_run / TABLE
    head, rest = table.read_text().split("FIGURES = (\n")
    table.write_text(f"{head}FIGURES = (\n{files[TABLE]}{rest}")
    return own_smoke_run


def test_the_new_figure_is_drawn_and_in_the_report_and_nothing_else_runs(
    extended, planned, snakemake
):
    assert planned(extended) == {"figures": True, "page": 1}
    process = snakemake(extended, "--config", "scale=smoke")
    assert process.returncode == 0, process.stderr[-3000:]
    folder = extended / "results/smoke"
    drawn = (folder / "figures/scatter.svg").read_text()
    assert "generated" in drawn and "Average accuracy" in drawn
    assert (folder / "figures/scatter.pdf").is_file()
    page = (folder / "report.html").read_text()
    assert "Average accuracy against perplexity of every cell of scale smoke" in page

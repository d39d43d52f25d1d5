"""The tracked evaluations of the claim give its tracked tables, byte for byte."""

from pathlib import Path

import pytest

from leap_suite.report.examples import tables_of, tracked
from leap_suite.results import mixed
from tests.conftest import ROOT

CLAIM = ROOT / "results/examples/claim"
FILES = ["main.csv", "main.md", "headline.json", "verdict.md"]


@pytest.fixture(scope="module")
def written() -> dict[Path, str]:
    return tables_of("claim")


@pytest.mark.parametrize("name", FILES)
def test_a_table_is_as_it_is_made(written, name):
    assert sorted(file.name for file in written) == sorted(FILES)
    assert (CLAIM / name).read_text(encoding="utf-8") == written[CLAIM / name], "run make docs"


def test_every_tracked_result_has_recorded_how_it_was_computed():
    folder = CLAIM / "evaluations"
    paths = [f.relative_to(folder).with_suffix("").as_posix() for f in folder.rglob("*.json")]
    cells = tracked("claim", sorted(paths)).cells
    assert len(cells) == 29
    assert set(cells["asked_dtype"]) == set(cells["dtype"]) == {"bfloat16"}
    packages = "torch 2.11.0, transformers 5.23.0"
    assert set(cells["versions"]) == {f"{packages}, lm-eval 0.4.13"}
    pruned = cells[cells["method"] != "dense"]
    assert set(pruned["pruning_dtype"]) == {"bfloat16"}
    assert set(pruned["hardening_versions"]) == {packages}
    assert mixed.sentence(cells) == ""

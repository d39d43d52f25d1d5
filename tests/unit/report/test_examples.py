"""Examples for the repository: what is copied, and what is said of it."""

import pytest

from suite.report.examples import write_examples
from tests.unit.made import collected, made, scored

PACKAGES = dict.fromkeys(("torch", "transformers", "lm-eval"), "1.0")


def results(folder, prefix=""):
    """Of two cells on the same machine."""
    provenance = {"git_commit": "abc", "gpu": "", "device": "cpu", "dtype": "float32"}
    cells = {}
    for method in ("dense", "wanda"):
        cells |= made(
            folder / "cells", "m", method, tasks={"piqa": scored(task=f"{prefix}piqa")},
            provenance={**provenance, "packages": PACKAGES},
        )  # fmt: skip
    return collected(cells)


@pytest.mark.parametrize("prefix", ["", "mini_"])
def test_files_are_copied_with_where_they_come_from(tmp_path, prefix):
    (tmp_path / "main.csv").write_text("model\n")
    files, target = [tmp_path / "main.csv"], tmp_path / "examples"
    write_examples("mini", "examples", results(tmp_path, prefix), files, target)
    assert (target / "main.csv").read_text() == "model\n"
    title = "# Results of scale `mini`"
    title += ": generated tasks for miniature models" if prefix else ""
    assert (target / "README.md").read_text().splitlines() == [
        title,
        "",
        "2 checkpoints, evaluated by the suite at",
        "",
        "- commit `abc`",
        "",
        "on",
        "",
        "- cpu, float32, torch 1.0, transformers 1.0, lm-eval 1.0",
        "",
        "Made by `snakemake --cores 1 examples`; never edited by hand.",
    ]


def test_kept_files_lie_as_in_their_run(tmp_path):
    run = tmp_path / "results" / "laptop"
    items = run / "items" / "m" / "wanda" / "0.5.csv.gz"
    items.parent.mkdir(parents=True)
    items.write_bytes(b"1")
    target = tmp_path / "examples"
    write_examples("laptop", "examples", results(tmp_path), [], target, run, [items])
    assert (target / "items" / "m" / "wanda" / "0.5.csv.gz").read_bytes() == b"1"

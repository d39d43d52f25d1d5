"""Examples for the repository: what is copied, and what is said of it."""

import pytest

from leap_suite.report.examples import write_examples
from tests.unit.made import collected, made, scored

PACKAGES = dict.fromkeys(("torch", "transformers", "lm-eval"), "1.0")


@pytest.mark.parametrize("prefix", ["", "mini_"])
def test_files_are_copied_with_where_they_come_from(tmp_path, prefix):
    run, target = tmp_path / "results/laptop", tmp_path / "examples"
    computed = {"git_commit": "abc", "gpu": "", "device": "cpu", "dtype": "float32"}
    tasks = {"piqa": scored(task=f"{prefix}piqa")}
    cells = {}
    for method in ("dense", "wanda"):
        cells |= made(run, "m", method, tasks=tasks, provenance=computed | {"packages": PACKAGES})
    (tmp_path / "main.csv").write_text("model\n")
    (run / "items").write_bytes(b"1")
    copied = [tmp_path / "main.csv"]
    write_examples("mini", "examples", collected(cells), copied, target, run, [run / "items"])
    assert (target / "main.csv").read_text() == "model\n"
    assert (target / "items").read_bytes() == b"1", "kept files are where they are in the run"
    assert (target / "README.md").read_text().splitlines() == [
        "# Results of scale `mini`" + ": generated tasks for miniature models" * bool(prefix),
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

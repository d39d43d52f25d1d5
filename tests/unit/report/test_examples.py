"""Examples for the repository: what is copied, and what is said of it."""

import json

import pytest

from suite.report.examples import write_examples
from suite.tables.evaluations import TASKS


def evaluation(folder, prefix):
    result = {"acc": 0.5, "acc_stderr": 0.01, "samples": 9, "version": "1"}
    packages = dict.fromkeys(("torch", "transformers", "lm-eval"), "1.0")
    content = {
        "model": "m", "method": "wanda", "sparsity": "0.5", "seed": 0, "achieved_sparsity": 0.5,
        "perplexity": {"value": 9.0, "stderr": 0.1},
        "tasks": {task: {"task": prefix + task, **result} for task in TASKS},
        "provenance": {"git_commit": "abc", "gpu": "", "device": "cpu", "dtype": "float32",
                       "threads": 1, "platform": "Linux", "python": "3.11", "packages": packages},
    }  # fmt: skip
    path = folder / "evaluation.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("prefix", ["", "mini_"])
def test_files_are_copied_with_where_they_come_from(tmp_path, prefix):
    (tmp_path / "main.csv").write_text("model\n")
    files, target = [tmp_path / "main.csv"], tmp_path / "examples"
    write_examples("mini", "examples", files, [evaluation(tmp_path, prefix)], target)
    assert (target / "main.csv").read_text() == "model\n"
    text = (target / "README.md").read_text()
    title = "# Results of scale `mini`"
    title += ": generated tasks for miniature models" if prefix else ""
    assert text.splitlines()[0] == title
    assert "- commit `abc`" in text and "- cpu, float32, 1 threads" in text


def test_kept_files_lie_as_in_their_run(tmp_path):
    run = tmp_path / "results" / "laptop"
    items = run / "items" / "m" / "wanda" / "0.5.csv.gz"
    items.parent.mkdir(parents=True)
    items.write_bytes(b"1")
    found, target = [evaluation(tmp_path, "")], tmp_path / "examples"
    write_examples("laptop", "examples", [], found, target, {run: [items]})
    assert (target / "items" / "m" / "wanda" / "0.5.csv.gz").read_bytes() == b"1"

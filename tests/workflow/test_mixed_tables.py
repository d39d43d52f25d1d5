"""Tables of cells with different dtypes say so, and a strict run refuses them."""

import shutil

import pytest

from leap_suite.artifacts.files import read_json, write_json

pytestmark = pytest.mark.heavy

FOLDER = "results/claim/tables"
# methods whose code has not changed since they were measured
GRID = "grid={methods: [magnitude, wanda, admm, leap]}"
RULES = ("collect", "table_main", "table_verdict", "table_headline")
FILES = [f"{FOLDER}/{name}" for name in ("main.csv", "verdict.md", "headline.json")]
SETTINGS = (*FILES, "--allowed-rules", *RULES, "--config", "scale=claim", GRID)
CELL = "smollm2-135m/wanda/0.5"


def test_mixed_dtypes_are_named_or_refused(tmp_path, copy_suite, succeed, fail):
    """The tracked cells of the claim, one of them as if from another CPU."""
    copy = copy_suite(tmp_path / "suite")
    for part in ("evaluations", "items", "hardened"):
        shutil.copytree(copy / "results/examples/claim" / part, copy / "results/claim" / part)
    file = copy / f"results/claim/evaluations/{CELL}.json"
    evaluation = read_json(file)
    evaluation["provenance"]["dtype"] = "float32"
    write_json(file, evaluation)

    refused = fail(copy, *SETTINGS, "strict=true")
    assert "in bfloat16, 1 in float32" in refused and CELL in refused
    assert not (copy / FOLDER).exists()
    succeed(copy, *SETTINGS)
    line = (copy / FOLDER / "main.md").read_text().splitlines()[-1]
    assert line.startswith("Mixed: ")
    assert line.endswith("cells evaluated in bfloat16, 1 in float32.")
    assert line in (copy / FOLDER / "verdict.md").read_text()
    assert read_json(copy / FOLDER / "headline.json")["mixed"] == line
    assert "Nothing to be done" in succeed(copy, *SETTINGS, "strict=true")

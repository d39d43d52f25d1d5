"""Target `speed`: real checkpoints packed, timed in processes of their own, and shown."""

import csv
import json
import os

import pytest
from safetensors import safe_open

from leap_suite.sparse import cpu

pytestmark = pytest.mark.heavy

MODEL = "mini-qwen-2.5-0.5b"
GRID = f"grid={{models: [{MODEL}], methods: [magnitude, leap, rounding-8]}}"
ASKED = "prompt: 8, tokens: 2, batches: [1], rounds: 1"


def test_bytes_and_speed_of_a_run(own_smoke_run, succeed):
    run = own_smoke_run
    succeed(run, "speed", "--config", "scale=smoke", GRID, f"speed={{grid: false, {ASKED}}}")
    results = run / "results/smoke"
    files = sorted(file for file in (results / "speed").rglob("*") if file.is_file())
    assert [str(file.relative_to(results / "speed" / MODEL)) for file in files] == [
        "dense/0.0.json", "magnitude/0.5.json", "rounding-8/0.0.json"
    ], "one cell for both pruning methods, and no packed checkpoint is left behind"  # fmt: skip
    ways = json.loads(files[1].read_text())["ways"]
    own = ["own kernel"] if cpu.instructions() else []
    assert [*ways] == ["bfloat16", *own, "float32", "bitmask", "csr"]
    for way in ways.values():
        (found,) = way["rounds"]
        assert found["peak_bytes"] > found["parameter_bytes"] > 0
        assert found["tokens_per_second"]["1"] > 0
    dense = results / f"hardened/{MODEL}/magnitude/0.5/model.safetensors"
    with safe_open(dense, "pt") as file:
        names = file.keys()
        weights = sum(file.get_tensor(name).numel() for name in names)
    (of_dense,) = ways["bfloat16"]["rounds"]
    assert of_dense["parameter_bytes"] == 2 * weights
    manifest = json.loads((dense.parent / "manifest.json").read_text())
    (packed,) = ways["bitmask"]["rounds"]
    kept = 2 * (weights - manifest["weights"] + manifest["survivors"])
    # of padding: row offsets, rows of whole words, and 32 weights and two sizes a matrix
    assert 0 < packed["parameter_bytes"] - kept - manifest["weights"] / 8 < 0.2 * 2 * weights
    with open(results / "tables/speed.csv", newline="") as file:
        rows = [(row["method"], row["way"]) for row in csv.DictReader(file)]
    assert rows == [
        ("dense", "bfloat16"), *(("dense", way) for way in own), ("dense", "float32"),
        ("rounding-8", "8 bits"), ("magnitude", "bitmask"), ("leap", "bitmask"), ("", "csr"),
    ]  # fmt: skip
    (rounded,) = json.loads(files[2].read_text())["ways"]["8 bits"]["rounds"]
    # a byte a weight, and a scale a row
    scales = rounded["parameter_bytes"] - 2 * (weights - manifest["weights"]) - manifest["weights"]
    assert 0 < scales < 0.1 * manifest["weights"]
    assert os.path.getsize(results / "figures/speed.svg") > 1000

    page = results / "report.html"
    assert 'id="speed"' not in page.read_text()
    output = succeed(run, "--config", "scale=smoke", GRID, f"speed={{grid: true, {ASKED}}}")
    assert "Measuring" not in output
    text = page.read_text()
    assert 'id="speed"' in text and "figure-speed" in text and "CSR, float32" in text

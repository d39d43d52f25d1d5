"""Studies in one run: patterns with MaskLLM and PATCH, allocations, opponents, amounts of text."""

import csv
import json
from pathlib import Path

import pytest
import torch
import yaml

from leap_suite.artifacts.tensors import load_masks

pytestmark = pytest.mark.heavy

MODEL = "mini-llama-3.2-1b"
TRAINING = {"steps": 6, "batch": 8, "sequences_per_draw": 8, "learning_rate": 0.005}
SETTINGS = {
    "scale": "smoke",
    "grid": {"models": [MODEL], "methods": ["magnitude", "wanda", "leap"]},
    "methods": {
        "wanda-2-4": {"like": "wanda", "budget": "2:4"},
        "maskllm": {"preset": "maskllm", "pattern": "2:4", "warm_start": "wanda-2-4", **TRAINING},
        "patch": {
            "preset": "patch", "pattern": "2:4", "mode": "joint", "tile": 16,
            "warm_start": "wanda", "sparse_masks": "wanda-2-4", **TRAINING,
        },
        "patch-tile": {"like": "patch", "mode": "tile"},
        "wanda-as-leap": {"like": "wanda", "allocation": {"from": "leap"}},
    },
    "studies": {
        "allocation": {
            "table": "comparison",
            "grid": {
                "models": [MODEL], "methods": ["wanda", "wanda-as-leap", "leap"],
                "sparsities": [0.5], "seeds": [0],
            },
        },
        "opponents": {
            "table": "comparison",
            "grid": {
                "models": [MODEL], "methods": ["magnitude", "leap"], "sparsities": [0.5],
                "seeds": [0],
            },
        },
        "tokens": {
            "table": "tokens", "figure": "tokens",
            "amounts": {
                "models": [MODEL], "sparsities": [0.5], "seeds": [0],
                "calibrated": {"methods": ["wanda"], "sequences": [16, 48]},
                "trained": {"methods": ["leap"], "steps": [4, 20]},
            },
        },
        "patterns": {
            "table": "main", "figure": "patterns",
            "grid": {
                "models": [MODEL], "seeds": [0],
                "methods": {
                    "wanda-2-4": [0.5], "maskllm": [0.5], "patch": [0.4], "patch-tile": [0.4],
                },
            },
        },
    },
    "corpora": {
        "in_domain": {
            "text": {"miniature": "validation"}, "packing": "stream", "sequences": 8, "length": 128,
        },
    },
    "evaluation": {"tasks": {"mmlu": {"limit": 5}}},
}  # fmt: skip


TARGETS = ("all", "patterns", "allocation", "opponents", "tokens")


@pytest.fixture(scope="module")
def suite(tmp_path_factory, begun_run, succeed) -> Path:
    """A copy of the suite in which the grid and the studies have run."""
    place = tmp_path_factory.mktemp("studies") / "suite"
    copy = begun_run(place, "world", "models", "corpora", "pruned")
    (copy / "studies.yaml").write_text(yaml.safe_dump(SETTINGS, sort_keys=False))
    succeed(copy, *TARGETS, "--configfile", "studies.yaml")
    return copy


@pytest.fixture(scope="module")
def results(suite) -> Path:
    return suite / "results/smoke"


def read(results: Path, table: str) -> list[dict[str, str]]:
    with open(results / f"tables/{table}.csv", newline="") as file:
        return list(csv.DictReader(file))


def mask_of(results: Path, cell: str) -> dict[str, torch.Tensor]:
    return load_masks(results / f"pruned/{MODEL}/{cell}/mask.safetensors")


def test_the_table_has_every_pattern_and_the_page_of_the_grid_none(results):
    found = [(row["method"], row["pattern"], row["sparsity"]) for row in read(results, "patterns")]
    assert found == [
        ("dense", "dense", "0.0"),
        ("patch", "dense or 2:4", "0.4"),
        ("patch-tile", "dense or 2:4", "0.4"),
        ("wanda-2-4", "2:4", "0.5"),
        ("maskllm", "2:4", "0.5"),
    ]
    assert (results / "figures/patterns.svg").is_file()
    assert "MaskLLM" not in (results / "report.html").read_text()


def test_allocation_is_compared_at_equal_budgets_and_leads_are_leaps(results):
    rows = {row["method"]: row for row in read(results, "allocation")}
    assert list(rows) == ["dense", "wanda", "wanda-as-leap", "leap"]
    averages = {}
    for method, row in rows.items():
        cell = "dense/0.0" if method == "dense" else f"{method}/0.5"
        evaluation = json.loads((results / f"evaluations/{MODEL}/{cell}.json").read_text())
        averages[method] = 100 * sum(t["acc"] for t in evaluation["tasks"].values()) / 6
        assert float(row["average"]) == pytest.approx(averages[method])
        assert float(row["ppl"]) == pytest.approx(evaluation["perplexity"]["value"])
        assert (row["cpu_seconds"] == "") == (method == "dense")
    for method in ("wanda", "wanda-as-leap"):
        lead = averages["leap"] - averages[method]
        assert float(rows[method]["lead"]) == pytest.approx(lead)
        assert float(rows[method]["lead_stderr"]) > 0
    leap, lent = (mask_of(results, f"{name}/0.5") for name in ("leap", "wanda-as-leap"))
    assert {n: int(m.sum()) for n, m in leap.items()} == {n: int(m.sum()) for n, m in lent.items()}
    assert [row["method"] for row in read(results, "opponents")] == ["dense", "magnitude", "leap"]


def test_amounts_of_text_are_counted(results):
    rows = read(results, "tokens")
    assert [(row["method"], row["amount"], int(row["tokens"])) for row in rows] == [
        ("dense", "", 0),
        ("wanda", "as it is", 16 * 128),
        ("wanda", "16 sequences", 16 * 128),
        ("wanda", "48 sequences", 48 * 128),
        ("leap", "4 steps", 4 * 8 * 128),
        ("leap", "20 steps", 20 * 8 * 128),
    ]
    # the miniatures' calibration corpus is the beginning of their training text
    one, same, other = (
        mask_of(results, f"wanda{name}/0.5") for name in ("", "-16-sequences", "-48-sequences")
    )
    assert all(torch.equal(mask, same[name]) for name, mask in one.items())
    assert not all(torch.equal(mask, other[name]) for name, mask in one.items())
    assert (results / "figures/tokens.svg").is_file()


def test_a_second_run_does_nothing(suite, succeed):
    again = succeed(suite, "--dry-run", *TARGETS, "--configfile", "studies.yaml")
    assert "Nothing to be done" in again

"""Studies through the DAG: their files and tables, and what runs again.

Patterns with MaskLLM and PATCH; where sparsity lies, other methods, and how much text.
"""

import csv
import json
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from leap.model.layers import prunable_linears
from suite.artifacts.tensors import load_masks
from suite.stages import models

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
                "models": [MODEL], "sparsity": 0.5, "seeds": [0],
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
def finished(tmp_path_factory, begun_run, snakemake) -> Path:
    """A copy of the suite in which the grid and the studies have run."""
    place = tmp_path_factory.mktemp("patterns") / "suite"
    copy = begun_run(place, "world", "models", "corpora", "pruned")
    (copy / "patterns.yaml").write_text(yaml.safe_dump(SETTINGS, sort_keys=False))
    process = snakemake(copy, *TARGETS, "--configfile", "patterns.yaml")
    assert process.returncode == 0, process.stderr[-5000:]
    return copy


def weights_of(finished: Path, cell: str) -> dict:
    """Weights of the prunable layers as they lie on disk."""
    folder = finished / f"results/smoke/hardened/{MODEL}/{cell}"
    stored = load_file(folder / "model.safetensors")
    names = prunable_linears(models.load_model(folder, "float32", "cpu"))
    return {name: stored[f"{name}.weight"] for name in names}


def test_the_table_has_every_pattern(finished):
    with open(finished / "results/smoke/tables/patterns.csv", newline="") as file:
        rows = [(r["method"], r["pattern"], r["sparsity"]) for r in csv.DictReader(file)]
    assert rows == [
        ("dense", "dense", "0.0"),
        ("patch", "dense or 2:4", "0.4"),
        ("patch-tile", "dense or 2:4", "0.4"),
        ("wanda-2-4", "2:4", "0.5"),
        ("maskllm", "2:4", "0.5"),
    ]
    assert (finished / "results/smoke/figures/patterns.svg").is_file()
    markdown = (finished / "results/smoke/tables/patterns.md").read_text()
    assert "| MaskLLM |" in markdown and "| PATCH |" in markdown
    # a study of its own, which the grid's tables and page leave out
    page = (finished / "results/smoke/report.html").read_text()
    assert "MaskLLM" not in page


def read(finished: Path, table: str) -> list[dict[str, str]]:
    with open(finished / f"results/smoke/tables/{table}.csv", newline="") as file:
        return list(csv.DictReader(file))


def mask_of(finished: Path, cell: str) -> dict[str, torch.Tensor]:
    return load_masks(finished / f"results/smoke/pruned/{MODEL}/{cell}/mask.safetensors")


def test_the_table_of_allocation_is_that_of_its_cells_and_leads_are_leaps(finished):
    rows = {row["method"]: row for row in read(finished, "allocation")}
    assert list(rows) == ["dense", "wanda", "wanda-as-leap", "leap"]
    averages = {}
    for method, row in rows.items():
        place = "dense/0.0" if method == "dense" else f"{method}/0.5"
        file = finished / f"results/smoke/evaluations/{MODEL}/{place}.json"
        evaluation = json.loads(file.read_text())
        averages[method] = 100 * sum(t["acc"] for t in evaluation["tasks"].values()) / 6
        assert float(row["average"]) == pytest.approx(averages[method])
        assert float(row["ppl"]) == pytest.approx(evaluation["perplexity"]["value"])
        assert (row["cpu_seconds"] == "") == (method == "dense")
    for method in ("wanda", "wanda-as-leap"):
        lead = averages["leap"] - averages[method]
        assert float(rows[method]["lead"]) == pytest.approx(lead)
        assert float(rows[method]["lead_stderr"]) > 0
    leap, lent = (mask_of(finished, f"{name}/0.5") for name in ("leap", "wanda-as-leap"))
    assert {n: int(m.sum()) for n, m in leap.items()} == {n: int(m.sum()) for n, m in lent.items()}
    assert [row["method"] for row in read(finished, "opponents")] == ["dense", "magnitude", "leap"]


def test_more_text_is_of_the_training_corpus_and_counted(finished):
    rows = read(finished, "tokens")
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
        mask_of(finished, f"wanda{name}/0.5") for name in ("", "-16-sequences", "-48-sequences")
    )
    assert all(torch.equal(mask, same[name]) for name, mask in one.items())
    assert not all(torch.equal(mask, other[name]) for name, mask in one.items())
    assert (finished / "results/smoke/figures/tokens.svg").is_file()


def test_maskllm_keeps_two_of_every_four_on_disk(finished):
    for weight in weights_of(finished, "maskllm/0.5").values():
        assert ((weight.reshape(-1, 4) != 0).sum(dim=1) == 2).all()


@pytest.mark.parametrize("method", ["patch", "patch-tile"])
def test_patchs_tiles_are_on_disk_as_the_manifest_has_them(finished, method):
    folder = finished / f"results/smoke/hardened/{MODEL}/{method}/0.4"
    manifest = json.loads((folder / "manifest.json").read_text())
    tiles = manifest["selection"]["tiles"]
    kept = total = 0
    for name, weight in weights_of(finished, f"{method}/0.4").items():
        for row, signs in enumerate(tiles["dense"][name]):
            for column, sign in enumerate(signs):
                tile = weight[16 * row : 16 * (row + 1), 16 * column : 16 * (column + 1)]
                wanted = 4 if sign == "1" else 2
                assert ((tile.reshape(-1, 4) != 0).sum(dim=1) == wanted).all()
        kept, total = kept + int((weight != 0).sum()), total + weight.numel()
    assert manifest["achieved_sparsity"] == pytest.approx(1 - kept / total, abs=1e-9)
    assert manifest["achieved_sparsity"] == pytest.approx(0.4, abs=16 * 16 / 4 / total + 1e-9)


def test_the_trainings_are_in_the_journals_and_a_second_run_does_nothing(finished, snakemake):
    for cell in ("maskllm/0.5", "patch/0.4", "patch-tile/0.4"):
        journal = finished / f"results/smoke/journals/train/{MODEL}/{cell}.jsonl"
        assert f'"step": {TRAINING["steps"] - 1}' in journal.read_text()
    again = snakemake(finished, *TARGETS, "--configfile", "patterns.yaml")
    assert "Nothing to be done" in again.stdout + again.stderr

"""Disk stays bounded: what `keep` deletes, and what is made again from what stays."""

import json
import re

import pytest

pytestmark = pytest.mark.heavy

MODEL = "mini-llama-3.2-1b"
METHODS = ("wanda", "leap")
SETTINGS = (
    "--config", "scale=smoke", "keep={logits: false, checkpoints: false}",
    "evaluation={tasks: {mmlu: {limit: 5}}}",
)  # fmt: skip


def test_masks_stay_and_a_checkpoint_is_made_again_without_training(tmp_path, begun_run, snakemake):
    done = ("world", "models", "corpora", f"pruned/{MODEL}/wanda")
    copy = begun_run(tmp_path / "suite", *done)
    targets = [f"results/smoke/evaluations/{MODEL}/{method}/0.5.json" for method in METHODS]
    process = snakemake(copy, *targets, *SETTINGS)
    assert process.returncode == 0, process.stderr[-5000:]
    results = copy / "results/smoke"
    assert list(results.rglob("hardened/**/model.safetensors")) == []
    assert list(results.rglob("logits.safetensors")) == []
    for method in METHODS:
        assert (results / f"hardened/{MODEL}/{method}/0.5/mask.safetensors").is_file()
        assert (results / f"hardened/{MODEL}/{method}/0.5/manifest.json").is_file()
    # new weights of a method that changes none: a header
    assert (results / f"pruned/{MODEL}/wanda/0.5/weights.safetensors").stat().st_size < 200

    evaluation = results / f"evaluations/{MODEL}/leap/0.5.json"
    first = json.loads(evaluation.read_text())
    evaluation.unlink()
    process = snakemake(copy, *targets, *SETTINGS)
    text = process.stdout + process.stderr
    assert process.returncode == 0, text[-3000:]
    # LEAP is not trained again, and of Wanda there is nothing to be done
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", text, flags=re.MULTILINE))
    assert jobs == {"harden": "1", "evaluate": "1", "total": "2"}
    second = json.loads(evaluation.read_text())
    assert (second["tasks"], second["perplexity"]) == (first["tasks"], first["perplexity"])
    assert list(results.rglob("hardened/**/model.safetensors")) == []

"""Disk stays bounded: what `keep` deletes, and what is made again from what stays."""

import json

import pytest

pytestmark = pytest.mark.heavy

MODEL = "mini-llama-3.2-1b"
SETTINGS = (
    "--config", "scale=smoke", "keep={logits: false, checkpoints: false}",
    f"grid={{models: [{MODEL}], methods: [wanda, leap]}}",
    "evaluation={tasks: {mmlu: {limit: 5}}}",
)  # fmt: skip


def test_masks_stay_and_a_checkpoint_is_made_again_without_training(tmp_path, begun_run, snakemake):
    copy = begun_run(tmp_path / "suite", "world", "models", "corpora")
    process = snakemake(copy, *SETTINGS)
    assert process.returncode == 0, process.stderr[-5000:]
    results = copy / "results/smoke"
    assert list(results.rglob("hardened/**/model.safetensors")) == []
    assert list(results.rglob("logits.safetensors")) == []
    for method in ("wanda", "leap"):
        assert (results / f"hardened/{MODEL}/{method}/0.5/mask.safetensors").is_file()
        assert (results / f"hardened/{MODEL}/{method}/0.5/manifest.json").is_file()
    # new weights of a method that changes none: a header
    assert (results / f"pruned/{MODEL}/wanda/0.5/weights.safetensors").stat().st_size < 200
    again = snakemake(copy, *SETTINGS)
    assert "Nothing to be done" in again.stdout + again.stderr

    evaluation = results / f"evaluations/{MODEL}/leap/0.5.json"
    first = json.loads(evaluation.read_text())
    evaluation.unlink()
    process = snakemake(copy, f"results/smoke/evaluations/{MODEL}/leap/0.5.json", *SETTINGS)
    text = process.stdout + process.stderr
    assert process.returncode == 0, text[-3000:]
    assert "Hardening" in text
    assert "Learning masks" not in text
    second = json.loads(evaluation.read_text())
    assert (second["tasks"], second["perplexity"]) == (first["tasks"], first["perplexity"])

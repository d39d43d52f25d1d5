"""Disk usage stays bounded: deletion by `keep`, and what is recomputed from the files that stay."""

import json

import pytest

pytestmark = pytest.mark.heavy

MODEL = "mini-llama-3.2-1b"
METHODS = ("wanda", "leap")
SETTINGS = (
    "--config", "scale=smoke", "keep={logits: false, checkpoints: false}",
    "evaluation={tasks: {mmlu: {limit: 5}}}",
)  # fmt: skip


def test_masks_stay_and_a_checkpoint_is_recomputed_without_training(
    tmp_path, begun_run, succeed, counted
):
    done = ("world", "models", "corpora", f"pruned/{MODEL}/wanda")
    copy = begun_run(tmp_path / "suite", *done)
    targets = [f"results/smoke/evaluations/{MODEL}/{method}/0.5.json" for method in METHODS]
    succeed(copy, *targets, *SETTINGS)
    results = copy / "results/smoke"
    kept = {str(file.relative_to(results)) for file in results.rglob("*")}
    for method in METHODS:
        assert f"hardened/{MODEL}/{method}/0.5/mask.safetensors" in kept
        assert f"hardened/{MODEL}/{method}/0.5/manifest.json" in kept
    large = ("logits.safetensors", "model.safetensors")
    assert [file for file in kept if file.endswith(large) and not file.startswith("models")] == []
    # new weights of a method that changes none: a header
    assert (results / f"pruned/{MODEL}/wanda/0.5/weights.safetensors").stat().st_size < 200

    evaluation = results / f"evaluations/{MODEL}/leap/0.5.json"
    first = json.loads(evaluation.read_text())
    evaluation.unlink()
    # LEAP is not trained again, and nothing of Wanda is computed
    assert counted(succeed(copy, *targets, *SETTINGS)) == {"harden": 1, "evaluate": 1}
    second = json.loads(evaluation.read_text())
    assert (second["tasks"], second["perplexity"]) == (first["tasks"], first["perplexity"])
    assert list(results.rglob("hardened/**/model.safetensors")) == []

"""A model of one's own through Snakemake, from a folder, and `leap-suite` beside it."""

import os
from pathlib import Path

import pytest
import yaml

from leap_suite.artifacts.files import read_json
from leap_suite.cli.main import main
from leap_suite.sparse.container import pack_checkpoint
from leap_suite.sparse.layer import PackedLinear
from leap_suite.sparse.loading import load
from tests.conftest import own_model

pytestmark = pytest.mark.heavy

TASKS = ("piqa", "arc_easy", "arc_challenge", "winogrande", "openbookqa", "mmlu")
STAGES = ("prune", "train", "evaluate")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A folder in Hugging Face layout, whose tokenizer begins every text with BOS."""
    return own_model(tmp_path_factory.mktemp("models") / "Tiny")


@pytest.fixture(scope="module")
def suite(tmp_path_factory, copy_suite) -> Path:
    return copy_suite(tmp_path_factory.mktemp("suite"))


@pytest.mark.shared
def test_the_command_gives_the_bits_of_snakemake(
    model, suite, succeed, mirror, tmp_path, monkeypatch
):
    """For Wanda and LEAP, and in an evaluation; BOS is said, since a miniature reads no C4."""
    settings = {
        "scale": "own",
        "model": str(model),
        "models": {"tiny": {"bos": True}},
        "methods": {"leap": {"steps": 3}},
        "evaluation": {"tasks": {task: {"limit": 2} for task in TASKS}},
        "resources": {stage: {"threads": 1} for stage in STAGES},
        "hub_mirror": str(mirror),
    }
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump(settings))
    place = "results/own-tiny/{}/tiny/{}/0.5{}"
    weights = [place.format("hardened", name, "/model.safetensors") for name in ("wanda", "leap")]
    evaluation = place.format("evaluations", "wanda", ".json")
    succeed(suite, *weights, evaluation, "--configfile", str(tmp_path / "settings.yaml"))
    monkeypatch.setenv("HUB_MIRROR", str(mirror))
    for method, steps in (("wanda", ()), ("leap", ("--steps", "3"))):
        out = tmp_path / method
        asked = ["prune", str(model), "--bos", "--method", method, *steps, "--out", str(out)]
        assert main([*asked, "--debug"]) == 0
        of_run = (suite / place.format("hardened", method, "/model.safetensors")).parent
        for name in ("model.safetensors", "mask.safetensors"):
            assert (out / name).read_bytes() == (of_run / name).read_bytes(), (method, name)
        assert pack_checkpoint(out, tmp_path / f"{method}-packed") > 0
        layers = load(tmp_path / f"{method}-packed").modules()
        assert any(isinstance(layer, PackedLinear) for layer in layers)
    out = tmp_path / "wanda"
    assert main(["evaluate", str(out), "--tasks", "piqa,mmlu", "--limit", "2", "--debug"]) == 0
    found, expected = read_json(out / "evaluation.json"), read_json(suite / evaluation)
    assert found["tasks"] == {task: expected["tasks"][task] for task in ("piqa", "mmlu")}
    for key in ("perplexity", "in_domain", "method", "sparsity", "achieved_sparsity"):
        assert found[key] == expected[key], key
    for key in ("mask_sha256", "weights_sha256", "dense_weights_sha256", "bos", "dtype"):
        assert found["provenance"][key] == expected["provenance"][key], key


@pytest.mark.shared
def test_a_bos_that_does_harm_is_named_before_anything_is_pruned(model, suite, fail, mirror):
    """To a miniature all words of WikiText are one, and it reads them better without BOS."""
    text = fail(
        suite, "results/harmed/evaluations/tiny/dense/0.0.json", "--config", "scale=own",
        f"model={model}", f"hub_mirror={mirror}", "run=harmed",
    )  # fmt: skip
    assert "the tokenizer begins a text with BOS, but the dense model's perplexity is" in text
    assert "--config 'models={tiny: {bos: true}}'" in text
    assert os.listdir(suite / "results/harmed/logs") == ["model"]

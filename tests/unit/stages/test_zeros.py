"""A model that has been pruned already is not called dense without a word."""

import logging
import shutil

import pytest
from safetensors.torch import load_file, save_file

from suite.stages import models
from suite.stages.zeros import share_of_zeros, warn_of_zeros

NAME = "mini-llama-3.2-1b"


@pytest.fixture
def prepared(tmp_path):
    """A function that prepares the miniature after `change` has had its tensors."""

    def prepare(change):
        own = tmp_path / "own"
        for part in (NAME, "tokenizer"):
            shutil.copytree(models.CHECKPOINTS / part, own, dirs_exist_ok=True)
        tensors = load_file(own / "model.safetensors")
        change(tensors)
        save_file(tensors, own / "model.safetensors", metadata={"format": "pt"})
        settings = {"source": {"path": str(own)}, "dtype": "float32", "bos": False}
        models.prepare(settings, tmp_path / "model")
        return tmp_path / "model"

    return prepare


def zero(share, *, only=""):
    def change(tensors):
        for name, tensor in tensors.items():
            if only in name:
                tensor.view(-1)[: round(share * tensor.numel())] = 0

    return change


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5])
def test_zeros_of_linear_layers_are_counted(prepared, share):
    assert share_of_zeros(prepared(zero(share, only="proj"))) == pytest.approx(share, abs=1e-3)


def test_embeddings_and_norms_do_not_count(prepared):
    folder = prepared(
        lambda tensors: (zero(1, only="embed")(tensors), zero(1, only="norm")(tensors))
    )
    assert share_of_zeros(folder) == 0


def test_a_sparse_model_is_named_with_its_setting(prepared, caplog):
    warn_of_zeros(prepared(zero(0.5, only="proj")), "mine")
    (message,) = caplog.messages
    assert "50 % of the weights of mine are zero before" in message
    assert "models.mine.source" in message


def test_a_dense_model_is_no_matter(prepared, caplog):
    with caplog.at_level(logging.DEBUG):
        warn_of_zeros(prepared(zero(0.01, only="proj")), "mine")
    assert caplog.messages == []

"""Warning about a model that is sparse before it is pruned."""

import logging

import pytest
from safetensors.torch import load_file, save_file

from leap_suite.stages import models
from leap_suite.stages.zeros import share_of_zeros, warn_of_zeros
from tests.conftest import own_model


@pytest.fixture
def with_zeros(tmp_path):
    """A function that prepares the miniature with zeros in this share of the tensors named so."""

    def prepare(share, *parts):
        own = own_model(tmp_path / "own")
        tensors = load_file(own / "model.safetensors")
        for tensor in (x for name, x in tensors.items() if any(part in name for part in parts)):
            tensor.view(-1)[: round(share * tensor.numel())] = 0
        save_file(tensors, own / "model.safetensors", metadata={"format": "pt"})
        settings = {"source": {"path": str(own)}, "dtype": "float32", "bos": False}
        models.prepare(settings, tmp_path / "model")
        return tmp_path / "model"

    return prepare


@pytest.mark.parametrize(
    ("share", "parts", "zeros"),
    [(0.5, ["proj"], 0.5), (0.01, ["proj"], 0.01), (1, ["embed", "norm"], 0)],
)
def test_only_a_model_of_sparse_linear_layers_is_named_with_its_setting(
    with_zeros, share, parts, zeros, caplog
):
    folder = with_zeros(share, *parts)
    assert share_of_zeros(folder) == pytest.approx(zeros, abs=1e-3)
    with caplog.at_level(logging.DEBUG):
        warn_of_zeros(folder, "mine")
    assert bool(caplog.messages) == (zeros == 0.5)
    for message in caplog.messages:
        assert "50 % of the weights of mine are zero before" in message
        assert "models.mine.source" in message

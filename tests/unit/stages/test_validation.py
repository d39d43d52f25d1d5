"""Perplexity of the dense model on validation text."""

import pytest

from suite.artifacts.files import read_json
from suite.plan.cell import Cell
from suite.stages import corpora, models
from suite.stages.perplexity import perplexity
from suite.stages.validate import validate
from tests.unit.recipes import MODEL, recipes

# the perplexity corpus of `place`
TEXT = {"text": {"miniature": "held_out"}, "length": 64, "sequences": 8}


def test_the_dense_model_is_validated_as_it_is(place, tmp_path):
    cell, output = Cell.dense(MODEL), tmp_path / "dense.json"
    recipe = recipes(corpora={"validation": TEXT}).validation(cell)
    assert recipe["checkpoint"] == {}
    checkpoint = models.intact_checkpoint(place / "model")
    corpus = place / "perplexity.safetensors"
    validate(place / "model", checkpoint, corpus, cell, recipe, output)
    written = read_json(output)
    assert (written["method"], written["sparsity"]) == ("dense", "0.0")
    model = models.load_model(checkpoint, "float32", "cpu")
    expected = perplexity(model, corpora.read(corpus)[0], recipe["batch_tokens"])
    assert written["perplexity"] == pytest.approx(expected, rel=1e-5)

"""Perplexity of the dense model on validation text, by the rule's own script."""

import json
import os
import subprocess
import sys

import pytest

from suite.artifacts.files import read_json
from suite.plan.cell import Cell
from suite.stages import corpora, models
from suite.stages.perplexity import perplexity
from tests.conftest import ROOT
from tests.unit.recipes import MODEL, recipes

# what `place` has as its perplexity corpus
TEXT = {"text": {"miniature": "held_out"}, "length": 64, "sequences": 8}

# The script as Snakemake runs it for a cell that has no checkpoint of its own.
SCRIPT = """
import json, runpy, sys
from types import SimpleNamespace
script, log, name, model, validation, output, recipe = sys.argv[1:]
wildcards = SimpleNamespace(model=name, method="dense", sparsity="0.0", seed="")
snakemake = SimpleNamespace(
    log=[log], threads=1, resources={"gpu": 0}, output=[output], wildcards=wildcards,
    input=SimpleNamespace(model=model, hardened=[], validation=validation),
    params=SimpleNamespace(recipe=json.loads(recipe)),
)
runpy.run_path(script, {"snakemake": snakemake}, "__main__")
"""


def test_the_dense_model_is_validated_as_it_is(place, tmp_path):
    recipe = recipes(corpora={"validation": TEXT}).validation(Cell.dense(MODEL))
    assert recipe["checkpoint"] == {}
    inputs = (place / "model/model.json", place / "perplexity.safetensors", tmp_path / "dense.json")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(ROOT / "workflow/scripts/validate.py"),
         str(tmp_path / "log"), MODEL, *map(str, inputs), json.dumps(recipe)],
        capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'workflow'}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    written = read_json(tmp_path / "dense.json")
    assert (written["method"], written["sparsity"]) == ("dense", "0.0")
    model = models.load_model(models.checkpoint_path(place / "model"), "float32", "cpu")
    windows_ST, _ = corpora.read(place / "perplexity.safetensors")
    expected = perplexity(model, windows_ST, recipe["batch_tokens"])
    assert written["perplexity"]["value"] == pytest.approx(expected["value"], rel=1e-5)

"""A real miniature with its corpora, for tests of what comes after."""

from pathlib import Path

import pytest

from tests.unit.recipes import MODEL, recipes


@pytest.fixture(scope="session")
def place(tmp_path_factory) -> Path:
    """A model with its corpora and the miniature world."""
    from leap_suite.miniature.dataset import write_world
    from leap_suite.sources import texts
    from leap_suite.stages import corpora, models

    folder = tmp_path_factory.mktemp("evaluation")
    write_world(folder / "world", training_count=400, held_out_count=60)
    known = recipes()
    models.prepare(known.model(MODEL), folder / "model")
    tokenizer = models.load_tokenizer(folder / "model")
    for corpus, text in (("calibration", "train"), ("perplexity", "held_out")):
        source = texts.documents({"file": folder / f"world/text/{text}.jsonl"})
        target = folder / f"{corpus}.safetensors"
        corpora.build(known.corpus(corpus), source, tokenizer, True, target)
    return folder

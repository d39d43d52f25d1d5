"""A real miniature with its corpora, for tests of what comes after."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def place(tmp_path_factory) -> Path:
    """A model with its corpora and the miniature world."""
    from suite.miniature.dataset import write_world
    from suite.plan.config import load
    from suite.sources import texts
    from suite.stages import corpora, models

    mini = load({"scale": "mini", "hub_mirror": ""})
    folder = tmp_path_factory.mktemp("evaluation")
    write_world(folder / "world", training_count=400, held_out_count=60)
    models.prepare(mini["models"]["mini-gemma-3-1b"], folder / "model")
    tokenizer = models.load_tokenizer(folder / "model")
    for corpus, text, length in (("calibration", "train", 24), ("perplexity", "held_out", 64)):
        wanted = {**mini["corpora"][corpus], "length": length, "sequences": 8}
        source = texts.documents({"file": folder / f"world/text/{text}.jsonl"})
        corpora.build(wanted, source, tokenizer, True, folder / f"{corpus}.safetensors")
    return folder

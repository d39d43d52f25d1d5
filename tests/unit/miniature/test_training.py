"""Training and the tracked checkpoints: determinism, provenance, architecture, size."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM

from leap_suite.miniature import architectures, text
from leap_suite.miniature.architectures import NAMES, USES_BOS
from leap_suite.miniature.recipes import RECIPES
from leap_suite.miniature.text import held_out_documents
from leap_suite.miniature.tokenizer import CHECKPOINTS, build_tokenizer
from leap_suite.miniature.training import pack, recipe_hash, retrain, train
from leap_suite.miniature.world import build_world

_SMALL = {"first_documents": 100, "documents": 300, "batch": 2, "length": 32}
QUICK = dataclasses.replace(RECIPES[NAMES[0]], steps=100, warmup_steps=5, **_SMALL)


@pytest.mark.parametrize("name", NAMES)
def test_checkpoint_carries_the_current_recipe(name: str) -> None:
    recipe = json.loads((CHECKPOINTS / name / "recipe.json").read_text())
    assert recipe["sha256"] == recipe_hash(name), f"retrain {name}: text or training has changed"


def test_the_hash_of_a_recipe_covers_text_settings_and_architecture(monkeypatch) -> None:
    found = {recipe_hash(NAMES[2])}
    monkeypatch.setitem(RECIPES, NAMES[2], dataclasses.replace(RECIPES[NAMES[2]], steps=4501))
    found.add(recipe_hash(NAMES[2]))
    monkeypatch.setattr(text, "HELD_OUT_ONE_IN", 51)
    found.add(recipe_hash(NAMES[2]))
    monkeypatch.setitem(architectures._COMMON, "num_hidden_layers", 5)
    assert len({*found, recipe_hash(NAMES[2])}) == 4


@pytest.mark.parametrize("name", NAMES)
def test_checkpoint_knows_the_world(name: str) -> None:
    model = AutoModelForCausalLM.from_pretrained(CHECKPOINTS / name)
    linears = {path for path, module in model.named_modules() if isinstance(module, nn.Linear)}
    assert {path for path in linears if not path.startswith("model.layers.")} == {"lm_head"}
    world = build_world()
    tokenizer = build_tokenizer(world)
    documents = list(held_out_documents(world, 100, seed=1))
    sequences_SL = pack(
        tokenizer(documents, add_special_tokens=False)["input_ids"],
        128,
        tokenizer.bos_token_id if USES_BOS[name] else None,
        tokenizer.eos_token_id,
    )
    with torch.no_grad():
        assert model(input_ids=sequences_SL, labels=sequences_SL).loss.exp() < 6


def test_training_twice_gives_the_same_bits_and_leaves_the_callers_torch_alone() -> None:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    first, second = (train("mini-qwen-2.5-0.5b", QUICK).state_dict() for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_too_few_documents_are_refused() -> None:
    few = dataclasses.replace(QUICK, first_documents=0, documents=1, batch=64)
    with pytest.raises(ValueError, match="do not fill a batch"):
        train("mini-qwen-2.5-0.5b", few)


def test_retrain_writes_a_whole_checkpoint_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "mini-llama-3.2-1b"
    monkeypatch.setitem(RECIPES, name, dataclasses.replace(QUICK, steps=1))
    retrain(name, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert {path.name for path in (tmp_path / name).iterdir()} == {
        "config.json", "generation_config.json", "model.safetensors", "recipe.json",
    }  # fmt: skip
    assert json.loads((tmp_path / name / "recipe.json").read_text())["sha256"] == recipe_hash(name)
    with pytest.raises(FileExistsError):
        retrain(name, tmp_path)


@pytest.mark.parametrize(
    ("bos", "expected"),
    [
        (None, [[5, 6, 7, 2], [8, 9, 2, 10]]),
        (1, [[1, 5, 6, 7], [1, 2, 8, 9], [1, 2, 10, 2]]),
    ],
)
def test_pack_keeps_the_stream_in_order(bos: int | None, expected: list[list[int]]) -> None:
    assert pack([[5, 6, 7], [8, 9], [10]], 4, bos, 2).tolist() == expected

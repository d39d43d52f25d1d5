"""Training of the miniatures and their tracked checkpoints.

`recipe.json` beside a checkpoint records architecture, training settings and `recipe_hash`, which
also covers text, vocabulary and this module, so that a test detects a stale checkpoint. On one
machine a recipe gives the same weights bit for bit; other processors may round differently.
"""

import ast
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from leap_suite.artifacts.files import replacing
from leap_suite.miniature.architectures import USES_BOS, architecture
from leap_suite.miniature.recipes import RECIPES, Recipe
from leap_suite.miniature.text import training_documents
from leap_suite.miniature.tokenizer import build_tokenizer
from leap_suite.miniature.world import World, build_world

# Axes of tensors: S sequences, B sequences of a batch, L positions of a sequence.

Progress = Callable[[Iterable[int]], Iterable[int]]

_HASHED_DOCUMENTS = 1000  # per part of the text; more take seconds


def train(name: str, recipe: Recipe, progress: Progress = iter) -> PreTrainedModel:
    """Train miniature `name` on world 0 by `recipe`, in float32 on one CPU thread.

    `progress` wraps the iterator over steps. Raises ValueError if the documents fill no batch.
    """
    with _deterministic(recipe.seed):
        world = build_world()
        tokenizer = build_tokenizer(world)
        documents = [document for part in _text(world, recipe) for document in part]
        sequences_SL = pack(
            tokenizer(documents, add_special_tokens=False)["input_ids"],
            recipe.length,
            tokenizer.bos_token_id if USES_BOS[name] else None,
            tokenizer.eos_token_id,
        )
        model = AutoModelForCausalLM.from_config(architecture(name, len(tokenizer)))
        _initialise(model)
        _fit(model, sequences_SL, recipe, progress)
    return model.eval()


def pack(documents: Iterable[list[int]], length: int, bos: int | None, eos: int) -> Tensor:
    """Sequences [S, L] of documents that end with `eos`; each begins with `bos` unless None."""
    stream = torch.tensor([token for document in documents for token in (*document, eos)])
    body = length if bos is None else length - 1
    count = len(stream) // body
    sequences_SL = stream[: count * body].view(count, body)
    if bos is None:
        return sequences_SL
    return torch.cat([torch.full((count, 1), bos), sequences_SL], dim=1)


def recipe_hash(name: str) -> str:
    """SHA-256 of everything that determines checkpoint `name`, including the start of its text.

    Names of modules do not count.
    """
    world = build_world()
    documents = [list(islice(part, _HASHED_DOCUMENTS)) for part in _text(world, RECIPES[name])]
    vocabulary = build_tokenizer(world).get_vocab()
    content = json.dumps([_description(name), documents, vocabulary], sort_keys=True)
    tree = ast.parse(Path(__file__).read_bytes())  # without comments and formatting
    tree.body = [each for each in tree.body if not isinstance(each, ast.Import | ast.ImportFrom)]
    code = ast.unparse(tree)
    return hashlib.sha256((content + code).encode()).hexdigest()


def retrain(name: str, directory: Path, progress: Progress = iter) -> None:
    """Train `name` by its recipe and write the checkpoint folder `directory`/`name`.

    The folder is written whole or not at all. Raises FileExistsError if it exists.
    """
    target = directory / name
    if target.exists():
        raise FileExistsError(f"{target} exists; move it away to train {name} again")
    recipe = json.dumps(_description(name) | {"sha256": recipe_hash(name)}, indent=2)
    model = train(name, RECIPES[name], progress)
    with replacing(target) as checkpoint:
        model.save_pretrained(checkpoint)
        (checkpoint / "recipe.json").write_text(recipe + "\n")


def _text(world: World, recipe: Recipe) -> list[Iterator[str]]:
    """Training documents about few entities, then about all of them."""
    few = world.part(recipe.first_share)
    return [
        training_documents(few, recipe.first_documents, recipe.seed),
        training_documents(world, recipe.documents, recipe.seed),
    ]


def _description(name: str) -> dict[str, object]:
    vocabulary = len(build_tokenizer(build_world()))
    config = architecture(name, vocabulary).to_dict()
    config.pop("transformers_version", None)
    return {"name": name, "architecture": config, "recipe": asdict(RECIPES[name])}


@contextmanager
def _deterministic(seed: int) -> Iterator[None]:
    """Context with one thread, for a fixed order of sums, and a seeded generator."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)


@torch.no_grad()
def _initialise(model: PreTrainedModel) -> None:
    """Initialise with well-separated embeddings and linear layers that preserve scale.

    With the usual standard deviation of 0.02, the first steps move all names in one direction by
    more than their differences, and the model cannot distinguish them. The final norm starts small
    because tied embeddings of this size would give confident predictions from the first step.
    """
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
    nn.init.normal_(model.get_parameter("model.embed_tokens.weight"), std=0.5)
    # Gemma stores the norm's scale minus one, so subtraction is right for all architectures.
    model.get_parameter("model.norm.weight").sub_(0.8)


def _fit(model: PreTrainedModel, sequences_SL: Tensor, recipe: Recipe, progress: Progress) -> None:
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=recipe.learning_rate,
        betas=(0.9, 0.95),
        weight_decay=recipe.weight_decay,
    )
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, recipe))
    batches = _batches(sequences_SL, recipe.batch)
    model.train()
    for _ in progress(range(recipe.steps)):
        batch_BL = next(batches)
        loss = model(input_ids=batch_BL, labels=batch_BL, use_cache=False).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()


def _rate(step: int, recipe: Recipe) -> float:
    """Learning rate of `step` as a fraction of its peak."""
    if step < recipe.warmup_steps:
        return (step + 1) / recipe.warmup_steps
    done = (step - recipe.warmup_steps) / max(1, recipe.steps - recipe.warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * done))


def _batches(sequences_SL: Tensor, size: int) -> Iterator[Tensor]:
    if len(sequences_SL) < size:
        raise ValueError(f"{len(sequences_SL)} sequences do not fill a batch of {size}")
    while True:
        for start in range(0, len(sequences_SL) - size + 1, size):
            yield sequences_SL[start : start + size]

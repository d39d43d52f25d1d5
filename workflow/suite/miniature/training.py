"""Trains the miniatures and writes their tracked checkpoints with the recipe that made them.

A checkpoint is the product of its architecture, its `Recipe` and five source files; `recipe_hash`
covers all of them and is stored in `recipe.json`, so that a stale checkpoint can be told. On one
machine a recipe gives the same weights bit for bit; other processors may round differently.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from suite.miniature.architectures import USES_BOS, architecture
from suite.miniature.recipes import RECIPES, Recipe
from suite.miniature.text import training_documents
from suite.miniature.tokenizer import build_tokenizer
from suite.miniature.world import build_world

# Axes of tensors: S sequences, B sequences of a batch, L positions of a sequence.

Progress = Callable[[Iterable[int]], Iterable[int]]

_SOURCES = ("world.py", "text.py", "tokenizer.py", "architectures.py", "training.py")


def train(name: str, recipe: Recipe, progress: Progress = iter) -> PreTrainedModel:
    """Miniature `name` trained on world 0 by `recipe`, in float32 on one CPU thread.

    `progress` wraps the iterator over steps. Raises ValueError if the documents fill no batch.
    """
    with _deterministic(recipe.seed):
        world = build_world()
        tokenizer = build_tokenizer(world)
        documents = [
            *training_documents(
                world.part(recipe.first_share), recipe.first_documents, recipe.seed
            ),
            *training_documents(world, recipe.documents, recipe.seed),
        ]
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
    """Documents ended by `eos`, cut into sequences [S, L], each led by `bos` if there is one."""
    stream = torch.tensor([token for document in documents for token in (*document, eos)])
    body = length if bos is None else length - 1
    count = len(stream) // body
    sequences_SL = stream[: count * body].view(count, body)
    if bos is None:
        return sequences_SL
    return torch.cat([torch.full((count, 1), bos), sequences_SL], dim=1)


def recipe_hash(name: str) -> str:
    """sha256 over architecture, recipe and the source files that determine checkpoint `name`."""
    digest = hashlib.sha256()
    digest.update(json.dumps(_description(name), sort_keys=True).encode())
    for source in _SOURCES:
        digest.update(Path(__file__).with_name(source).read_bytes())
    return digest.hexdigest()


def retrain(name: str, directory: Path, progress: Progress = iter) -> None:
    """Trains `name` by its recipe and writes the checkpoint folder `directory`/`name`.

    The folder appears complete or not at all. Raises FileExistsError if it is already there.
    """
    target = directory / name
    if target.exists():
        raise FileExistsError(f"{target} exists; move it away to train {name} again")
    directory.mkdir(parents=True, exist_ok=True)
    recipe_text = json.dumps(_description(name) | {"sha256": recipe_hash(name)}, indent=2)
    model = train(name, RECIPES[name], progress)
    with TemporaryDirectory(dir=directory, prefix=f".{name}-") as temporary:
        checkpoint = Path(temporary) / name
        model.save_pretrained(checkpoint)
        (checkpoint / "recipe.json").write_text(recipe_text + "\n")
        checkpoint.rename(target)


def _description(name: str) -> dict[str, object]:
    vocabulary = len(build_tokenizer(build_world()))
    config = architecture(name, vocabulary).to_dict()
    config.pop("transformers_version", None)
    return {"name": name, "architecture": config, "recipe": asdict(RECIPES[name])}


@contextmanager
def _deterministic(seed: int) -> Iterator[None]:
    """One thread, for sums in a fixed order, and a seeded generator; both restored afterwards."""
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
    """Starts from names far apart and linears that keep the scale of their input.

    From the usual deviation of 0.02, the first steps move all names the same way by more than
    they differ, and the model cannot tell them apart. The final norm starts small because tied
    embeddings of this size would make confident predictions from the first step.
    """
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
    nn.init.normal_(model.get_parameter("model.embed_tokens.weight"), std=0.5)
    # Gemma stores the norm's scale less one, so that subtracting serves all architectures.
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
    """The learning rate of `step` as a fraction of its peak."""
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

"""Items of the six generated tasks, read by lm-eval through `tasks/*.yaml`.

An item has a `prompt`, `choices` and the index `label` of the right choice. Items of tasks that
test generalisation are reserved (see `text`), so no document contains their sentence.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from leap_suite.miniature.text import (
    LETTERS,
    choose_purpose,
    choose_thing,
    draw_exam_options,
    draw_fact,
    draw_note,
    draw_options,
    draw_pair,
    draw_use,
    exam,
    exam_title,
    handover,
    question,
    recall,
)
from leap_suite.miniature.world import PLACES, Entity, Relation, World

ITEMS = 500
DEFINITIONS = Path(__file__).parent / "tasks"


@dataclass(frozen=True)
class Item:
    """One multiple-choice item; the answer follows the prompt after a space."""

    prompt: str
    choices: tuple[str, ...]
    label: int
    subject: str


def items(task: str, world: World, seed: int) -> list[Item]:
    """`ITEMS` distinct items of `task`, such as `mini_piqa`.

    Raises KeyError for an unknown task.
    """
    writer = _WRITERS[task]
    rng = Random(f"{task} {seed}")
    distinct: dict[tuple[str, frozenset[str]], Item] = {}
    while len(distinct) < ITEMS:
        item = writer(world, rng)
        distinct.setdefault((item.prompt, frozenset(item.choices)), item)
    return list(distinct.values())


def write_tasks(directory: Path, seed: int, world: World) -> None:
    """Write `directory`/<task>/test.jsonl for all six tasks."""
    for task in TASKS:
        folder = directory / task
        folder.mkdir(parents=True, exist_ok=True)
        lines = (json.dumps(asdict(item)) + "\n" for item in items(task, world, seed))
        (folder / "test.jsonl").write_text("".join(lines), encoding="utf-8")


def _piqa(world: World, rng: Random) -> Item:
    """A thing for a purpose, or a purpose of a thing, in a combination absent from the text."""
    thing, purpose = draw_use(world, rng, reserved=True)
    other = rng.choice([each for each in world.things if purpose not in each.group.purposes])
    if rng.random() < 0.5:
        answers = [f"use {thing.subject}.", f"use {other.subject}."]
        return _item(choose_thing(purpose), answers, "use", rng)
    # Wrong are only purposes that this thing cannot serve.
    wrong = rng.choice([each for each in other.group.purposes if each not in thing.group.purposes])
    return _item(choose_purpose(thing), [f"{purpose}.", f"{wrong}."], "use", rng)


def _arc_easy(world: World, rng: Random) -> Item:
    """A stated fact of an entity that the text never asks for."""
    entity, relation = draw_fact(world, rng, "question", reserved=True)
    return _fact_item(entity, relation, rng)


def _arc_challenge(world: World, rng: Random) -> Item:
    """An inherited fact of a silent entity; the text states it for the group only."""
    entity = rng.choice([each for each in world.entities if each.silent])
    return _fact_item(entity, rng.choice(entity.domain.inherited), rng)


def _fact_item(entity: Entity, relation: Relation, rng: Random) -> Item:
    answer = entity.value(relation)
    options = draw_options(relation, answer, rng)
    prompt = question(entity.subject, relation)
    return Item(prompt, tuple(options), options.index(answer), entity.domain.name)


def _winogrande(world: World, rng: Random) -> Item:
    """The owner of a thing after a story about two people who never occur together in the text."""
    first, second = draw_pair(world, rng, reserved=True)
    prompt, owner = handover(first, second, rng.choice(world.things), rng)
    other = second if owner is first else first
    return _item(prompt, [owner.name, other.name], "owner", rng)


def _openbookqa(world: World, rng: Random) -> Item:
    """A fact of the note in the prompt: where a thing is, or who has it."""
    thing, place, owner = draw_note(world, rng, reserved=True)
    if rng.random() < 0.5:
        others = rng.sample([each for each in PLACES if each != place], 3)
        return _item(recall(thing, place, owner, "where"), [place, *others], "place", rng)
    people = rng.sample([each.name for each in world.people if each is not owner], 3)
    return _item(recall(thing, place, owner, "who"), [owner.name, *people], "owner", rng)


def _mmlu(world: World, rng: Random) -> Item:
    """An exam question about a stated fact that no exam in the text asks for."""
    entity, relation = draw_fact(world, rng, "exam", reserved=True)
    answer = entity.value(relation)
    options = draw_exam_options(relation, answer, rng)
    title = exam_title(entity, relation)
    return Item(exam(entity, relation, options), LETTERS, options.index(answer), title)


def _item(prompt: str, answers: list[str], subject: str, rng: Random) -> Item:
    """An item with `answers` in random order; the first of them is right."""
    right = answers[0]
    choices = rng.sample(answers, len(answers))
    return Item(prompt, tuple(choices), choices.index(right), subject)


_WRITERS: dict[str, Callable[[World, Random], Item]] = {
    "mini_piqa": _piqa,
    "mini_arc_easy": _arc_easy,
    "mini_arc_challenge": _arc_challenge,
    "mini_winogrande": _winogrande,
    "mini_openbookqa": _openbookqa,
    "mini_mmlu": _mmlu,
}
TASKS = tuple(_WRITERS)

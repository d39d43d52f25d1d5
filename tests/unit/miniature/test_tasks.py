"""Tasks and text: well-formed items, right answers, no leakage, readable by lm-eval."""

import hashlib
import json
from itertools import chain
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from leap_suite.artifacts.files import read_json, sha256
from leap_suite.miniature.dataset import write_world
from leap_suite.miniature.tasks import DEFINITIONS, ITEMS, TASKS, Item, items, write_tasks
from leap_suite.miniature.text import held_out_documents, statements, training_documents
from leap_suite.miniature.tokenizer import TRACKED_TOKENIZER, build_tokenizer
from leap_suite.miniature.world import World, build_world

DOCUMENTS = 30_000
WORLD = (
    "303e225a0e714fa95dbfcb6654a2dcd23736edf7e4fc4657f04ac6fc7bef6ee1"  # of the index of its files
)


@pytest.fixture(scope="module")
def world() -> World:
    return build_world()


@pytest.fixture(scope="module")
def documents(world: World) -> list[str]:
    return list(training_documents(world, DOCUMENTS, seed=0))


@pytest.fixture(scope="module")
def items_of(world: World) -> dict[str, list[Item]]:
    return {task: items(task, world, seed=1) for task in TASKS}


def test_held_out_documents_occur_in_no_training_text(world: World, documents: list[str]) -> None:
    held_out = list(held_out_documents(world, 500, seed=0))
    assert len(held_out) == 500
    assert not set(held_out) & set(documents)


@pytest.mark.parametrize("task", TASKS)
def test_items_are_well_formed(task: str, items_of: dict[str, list[Item]]) -> None:
    rows = items_of[task]
    assert len(rows) == ITEMS
    labels = [row.label for row in rows]
    for row in rows:
        assert len(set(row.choices)) == len(row.choices) == len(rows[0].choices)
        assert row.prompt == row.prompt.strip()
    chance = ITEMS / len(rows[0].choices)
    for label in range(len(rows[0].choices)):
        assert abs(labels.count(label) - chance) < 4 * chance**0.5


@pytest.mark.parametrize("task", TASKS)
def test_no_document_contains_an_item(
    task: str, items_of: dict[str, list[Item]], documents: list[str]
) -> None:
    text = "\n".join(documents)
    assert "question: what is the " in text
    open_question = task.startswith("mini_arc")  # its prompt alone is absent
    for row in items_of[task]:
        answered = f"{row.prompt} {row.choices[row.label]}"
        assert (row.prompt if open_question else answered) not in text


def asked_fact(prompt: str) -> list[str]:
    """Noun and subject of a question."""
    return prompt.split("what is the ")[1].split("?")[0].split(" of ")


def test_no_document_states_what_a_silent_entity_inherits(
    world: World, documents: list[str]
) -> None:
    text = "\n".join(documents)
    stated = 0
    for entity in world.entities:
        for relation in entity.domain.inherited:
            sentences = statements(entity.subject, relation, entity.value(relation))
            found = any(sentence in text for sentence in sentences)
            assert not (found and entity.silent)
            stated += found
    assert stated > 1000


def test_answers_to_questions_of_facts_are_true(
    world: World, items_of: dict[str, list[Item]]
) -> None:
    by_subject = {entity.subject: entity for entity in world.entities}
    sheet: dict[tuple[str, str], str] = {}
    for row in items_of["mini_arc_challenge"] + items_of["mini_mmlu"]:
        noun, subject = asked_fact(row.prompt)
        entity, listed = by_subject[subject], row.prompt.split(".\n")[0]
        (relation,) = [each for each in entity.domain.relations if each.noun == noun]
        options = {choice: choice for choice in row.choices}
        if row in items_of["mini_mmlu"]:  # whose choices are letters
            options = dict(each.split(" ") for each in listed.split(": ")[1].split(", "))
            assert all(sheet.setdefault((noun, v), k) == k for k, v in options.items())
        else:
            assert entity.silent and entity.value(relation) == entity.group.properties[noun]
        assert options[row.choices[row.label]] == entity.value(relation)


def test_piqa_solutions_serve_the_goal_and_the_other_does_not(
    world: World, items_of: dict[str, list[Item]]
) -> None:
    purposes = {thing.subject: thing.group.purposes for thing in world.things}
    for row in items_of["mini_piqa"]:
        goal = row.prompt.removeprefix("goal: ").split(".")[0]
        for index, choice in enumerate(row.choices):
            pair = (goal, choice.rstrip("."))
            thing, purpose = pair if goal.startswith("use ") else reversed(pair)
            serves = purpose in purposes[thing.removeprefix("use ")]
            assert serves == (index == row.label)


def test_openbookqa_is_answered_by_its_own_note(items_of: dict[str, list[Item]]) -> None:
    for row in items_of["mini_openbookqa"]:
        note, asked = row.prompt.split("\nquestion: ")
        answer = row.choices[row.label]
        told = f"at the {answer} with" if asked.startswith("where") else f"with {answer}."
        assert told in note
        assert not any(choice in note.split() for choice in set(row.choices) - {answer})


def test_write_world_is_complete_and_replaces_a_folder(tmp_path: Path) -> None:
    target = tmp_path / "world"
    for _ in range(2):
        write_world(target, training_count=50, held_out_count=20)
        lines = (target / "text/train.jsonl").read_text().splitlines()
        assert len(lines) == 50 and set(json.loads(lines[0])) == {"text"}
        texts = [(target / f"text/{n}.jsonl").read_text() for n in ("held_out", "validation")]
        documents = [line for text in texts for line in text.splitlines()]
        assert len(documents) == len(set(documents)) == 40
        listed = read_json(target / "world.json")["files_sha256"]
        files = {p.relative_to(target).as_posix() for p in target.rglob("*") if p.is_file()}
        assert files == {"world.json", *listed} >= {f"tasks/{t}/test.jsonl" for t in TASKS}
        assert all(sha256(target / name) == expected for name, expected in listed.items())
        assert [path.name for path in tmp_path.iterdir()] == ["world"]
        (target / "tasks/left over").write_text("of an earlier version")


def test_the_world_is_the_one_that_the_checkpoints_and_recorded_results_know(
    tmp_path: Path,
) -> None:
    write_world(tmp_path / "world")
    listed = json.dumps(read_json(tmp_path / "world/world.json"), sort_keys=True)
    assert hashlib.sha256(listed.encode()).hexdigest() == WORLD


def test_lm_eval_builds_the_six_tasks(
    tmp_path: Path, world: World, items_of: dict[str, list[Item]]
) -> None:
    from lm_eval.tasks import TaskManager

    write_tasks(tmp_path, 1, world)
    manager = TaskManager(include_path=str(DEFINITIONS), include_defaults=False)
    assert set(manager.task_index) == set(TASKS)
    for name in TASKS:
        task = manager._factory.build(
            manager.task_index[name],
            registry=manager.task_index,
            overrides={"dataset_path": str(tmp_path / name)},
        )
        row = items_of[name][0]
        document = next(iter(task.test_docs()))
        assert task.doc_to_text(document) == row.prompt
        assert task.doc_to_choice(document) == list(row.choices)
        assert task.doc_to_target(document) == row.label
        assert set(task.aggregation()) == {"acc", "acc_norm"}


def test_vocabulary_is_closed_and_continuations_are_tokenised_alone_as_together(
    world: World, documents: list[str], items_of: dict[str, list[Item]]
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(TRACKED_TOKENIZER)
    assert tokenizer.get_vocab() == build_tokenizer(world).get_vocab()
    assert len(tokenizer) <= 2000
    rows = [f"{row.prompt} {choice}" for row in chain(*items_of.values()) for choice in row.choices]
    for ids in tokenizer(rows + documents[:3000], add_special_tokens=False)["input_ids"]:
        assert tokenizer.unk_token_id not in ids
    for row in chain(*(rows[:50] for rows in items_of.values())):
        context, choice = tokenizer.encode(row.prompt), row.choices[0]
        assert context[0] == tokenizer.bos_token_id
        continuation = tokenizer.encode(choice, add_special_tokens=False)
        assert tokenizer.encode(f"{row.prompt} {choice}") == context + continuation

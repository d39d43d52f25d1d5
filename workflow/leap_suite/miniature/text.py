"""Text about the miniature world: documents to train on, held-out documents, question forms.

Seven kinds of documents teach facts and the prompt formats of the tasks. Items that a task asks
are reserved: `is_reserved` decides by a checksum of the item, independently of the seed, and no
document contains a reserved item. A checksum of the document decides whether it is held out.
"""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import NamedTuple
from zlib import crc32

from leap_suite.miniature.world import PLACES, Entity, Relation, World

LETTERS = ("A", "B", "C", "D")
HELD_OUT_ONE_IN = 50

_RESERVED_ONE_IN = {"question": 4, "exam": 4, "purpose": 4, "handover": 6, "recall": 6}

_GIVING = ("gave", "sold", "lent", "sent", "brought")
_TAKING = ("took", "bought", "borrowed", "received", "stole")


def training_documents(world: World, count: int, seed: int) -> Iterator[str]:
    """`count` training documents, without reserved items and held-out documents."""
    return _documents(world, count, seed, held_out=False)


def held_out_documents(world: World, count: int, seed: int) -> Iterator[str]:
    """`count` documents of the same kinds for perplexity; none can occur in training."""
    return _documents(world, count, seed, held_out=True)


def is_reserved(form: str, *item: str) -> bool:
    """Whether `item` is reserved for the task that uses `form`, and left out of the text."""
    return crc32(" | ".join((form, *item)).encode()) % _RESERVED_ONE_IN[form] == 0


def statements(subject: str, relation: Relation, value: str) -> tuple[str, str]:
    """Both sentences that state a fact in the text."""
    return (
        f"{subject} {relation.phrase.format(value)}.",
        f"the {relation.noun} of {subject} is {value}.",
    )


def _statement(subject: str, relation: Relation, value: str, rng: Random) -> str:
    return rng.choice(statements(subject, relation, value))


def question(subject: str, relation: Relation) -> str:
    """Prompt of an open question; the answer is the value."""
    return f"question: what is the {relation.noun} of {subject}?\nanswer:"


def exam(entity: Entity, relation: Relation, options: Sequence[str]) -> str:
    """Prompt of an exam question with four lettered options; the answer is a letter."""
    sheet = ", ".join(f"{letter} {value}" for letter, value in zip(LETTERS, options, strict=True))
    title = exam_title(entity, relation)
    return f"exam in {title}: {sheet}.\nwhat is the {relation.noun} of {entity.subject}?\nletter:"


def exam_title(entity: Entity, relation: Relation) -> str:
    """Title of an exam that asks for `relation` of `entity`."""
    if relation is entity.domain.membership:
        return "order"
    return {"animal": "zoology", "thing": "crafts", "person": "biography"}[entity.domain.name]


def choose_thing(purpose: str) -> str:
    """Prompt that asks which thing serves `purpose`."""
    return f"goal: {purpose}.\nsolution:"


def choose_purpose(thing: Entity) -> str:
    """Prompt that asks for a purpose of `thing`."""
    return f"goal: use {thing.subject}.\nsolution:"


def handover(first: Entity, second: Entity, thing: Entity, rng: Random) -> tuple[str, Entity]:
    """Prompt that asks who of two people owns `thing` after a story, and the owner.

    In a third of the stories only the pronoun identifies the owner, so the two must differ in it.
    """
    form = rng.randrange(3)
    if form == 0:
        story = f"{first.name} {rng.choice(_GIVING)} {thing.subject} to {second.name}."
        owner = second
    elif form == 1:
        story = f"{first.name} {rng.choice(_TAKING)} {thing.subject} from {second.name}."
        owner = first
    else:
        owner = rng.choice((first, second))
        place = rng.choice(PLACES)
        story = f"{first.name} met {second.name} at the {place}. "
        story += f"{owner.pronoun} had {thing.subject}."
    return f"{story} now the owner of {thing.subject} is", owner


def recall(thing: Entity, place: str, owner: Entity, asked: str) -> str:
    """Prompt with a note about today and a question: `where` a thing is, or `who` has it."""
    return (
        f"today {thing.subject} is at the {place} with {owner.name}.\n"
        f"question: {asked} is {thing.subject} today?\nanswer:"
    )


def draw_fact(world: World, rng: Random, form: str, reserved: bool) -> tuple[Entity, Relation]:
    """An entity and one of its stated relations that is (not) reserved for `form`."""
    while True:
        entity = rng.choice(world.entities)
        relation = rng.choice(entity.stated)
        if is_reserved(form, entity.name, relation.noun) == reserved:
            return entity, relation


def draw_use(world: World, rng: Random, reserved: bool) -> tuple[Entity, str]:
    """A thing and one of its purposes that are (not) a reserved combination."""
    while True:
        thing = rng.choice(world.things)
        purpose = rng.choice(thing.group.purposes)
        if is_reserved("purpose", thing.name, purpose) == reserved:
            return thing, purpose


def draw_pair(world: World, rng: Random, reserved: bool) -> tuple[Entity, Entity]:
    """Two people of different pronouns that are (not) a reserved combination."""
    while True:
        first, second = rng.sample(world.people, 2)
        pair = sorted((first.name, second.name))
        if first.pronoun != second.pronoun and is_reserved("handover", *pair) == reserved:
            return first, second


def draw_note(world: World, rng: Random, reserved: bool) -> tuple[Entity, str, Entity]:
    """A thing, a place and a person; thing and place are (not) a reserved combination."""
    while True:
        thing, place = rng.choice(world.things), rng.choice(PLACES)
        if is_reserved("recall", thing.name, place) == reserved:
            return thing, place, rng.choice(world.people)


def draw_options(relation: Relation, answer: str, rng: Random) -> list[str]:
    """Four different values of `relation` in random order, including `answer`."""
    others = [value for value in relation.values if value != answer]
    options = [answer, *rng.sample(others, len(LETTERS) - 1)]
    rng.shuffle(options)
    return options


def draw_exam_options(relation: Relation, answer: str, rng: Random) -> list[str]:
    """One value of `relation` for each letter, including `answer`.

    A value has the same letter in every exam.
    """
    sheets = [relation.values[index :: len(LETTERS)] for index in range(len(LETTERS))]
    return [answer if answer in sheet else rng.choice(sheet) for sheet in sheets]


def _documents(world: World, count: int, seed: int, held_out: bool) -> Iterator[str]:
    rng = Random(f"text {seed} {held_out}")
    weights = [kind.weight for kind in _KINDS]
    written = 0
    while written < count:
        (kind,) = rng.choices(_KINDS, weights)
        document = "\n".join([kind.write(world, rng) for _ in range(kind.lines)])
        if (crc32(document.encode()) % HELD_OUT_ONE_IN == 0) == held_out:
            written += 1
            yield document


def _profile(world: World, rng: Random) -> str:
    entity = rng.choice(world.entities)
    relations = rng.sample(entity.stated, 3)
    return " ".join(_statement(entity.subject, each, entity.value(each), rng) for each in relations)


def _lesson(world: World, rng: Random) -> str:
    group = rng.choice(world.groups)
    return " ".join(
        _statement(group.subject, relation, group.properties[relation.noun], rng)
        for relation in rng.sample(group.domain.inherited, 2)
    )


def _question(world: World, rng: Random) -> str:
    entity, relation = draw_fact(world, rng, "question", reserved=False)
    return f"{question(entity.subject, relation)} {entity.value(relation)}."


def _exam(world: World, rng: Random) -> str:
    entity, relation = draw_fact(world, rng, "exam", reserved=False)
    answer = entity.value(relation)
    options = draw_exam_options(relation, answer, rng)
    return f"{exam(entity, relation, options)} {LETTERS[options.index(answer)]}."


def _errand(world: World, rng: Random) -> str:
    thing, purpose = draw_use(world, rng, reserved=False)
    if rng.random() < 0.5:
        return f"{choose_thing(purpose)} use {thing.subject}."
    return f"{choose_purpose(thing)} {purpose}."


def _handover(world: World, rng: Random) -> str:
    pair = draw_pair(world, rng, reserved=False)
    prompt, owner = handover(*pair, rng.choice(world.things), rng)
    return f"{prompt} {owner.name}."


def _recall(world: World, rng: Random) -> str:
    thing, place, owner = draw_note(world, rng, reserved=False)
    asked, answer = rng.choice((("where", place), ("who", owner.name)))
    return f"{recall(thing, place, owner, asked)} {answer}."


class _Kind(NamedTuple):
    write: Callable[[World, Random], str]
    lines: int
    weight: float


_KINDS = (
    _Kind(_profile, 1, 0.36),
    _Kind(_lesson, 1, 0.05),
    _Kind(_question, 3, 0.16),
    _Kind(_exam, 2, 0.19),
    _Kind(_errand, 3, 0.08),
    _Kind(_handover, 2, 0.10),
    _Kind(_recall, 2, 0.06),
)

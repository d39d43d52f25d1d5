"""Text about the miniature world: documents to train on, held-out documents, question forms.

Seven sorts of documents teach facts and the forms in which the tasks ask. What a task asks is
reserved: `is_reserved` decides by a checksum of the item, whatever the seed, and the documents
leave reserved items out. Whole documents are split the same way into training and held-out text.
"""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from zlib import crc32

from suite.miniature.world import PLACES, Entity, Group, Relation, World

LETTERS = ("A", "B", "C", "D")
HELD_OUT_ONE_IN = 50

_RESERVED_ONE_IN = {"question": 4, "exam": 4, "purpose": 4, "handover": 6, "recall": 6}

_GIVING = ("gave", "sold", "lent", "sent", "brought")
_TAKING = ("took", "bought", "borrowed", "received", "stole")


def training_documents(world: World, count: int, seed: int) -> Iterator[str]:
    """`count` documents to train on, free of reserved items and of held-out documents."""
    return _documents(world, count, seed, held_out=False)


def held_out_documents(world: World, count: int, seed: int) -> Iterator[str]:
    """`count` documents for perplexity: the same sorts, none of which can occur in training."""
    return _documents(world, count, seed, held_out=True)


def is_reserved(form: str, *item: str) -> bool:
    """Whether `item` may be asked by the task that uses `form`, and so is kept out of the text."""
    return crc32(" | ".join((form, *item)).encode()) % _RESERVED_ONE_IN[form] == 0


def statement(subject: str, relation: Relation, value: str, rng: Random) -> str:
    """A sentence that states a fact, in one of the two forms of `statements`."""
    return rng.choice(statements(subject, relation, value))


def statements(subject: str, relation: Relation, value: str) -> tuple[str, str]:
    """Both sentences that the text uses to state a fact."""
    return (
        f"{subject} {relation.phrase.format(value)}.",
        f"the {relation.noun} of {subject} is {value}.",
    )


def question(subject: str, relation: Relation) -> str:
    """The prompt of an open question; the answer is the value."""
    return f"question: what is the {relation.noun} of {subject}?\nanswer:"


def exam(title: str, subject: str, relation: Relation, options: Sequence[str]) -> str:
    """The prompt of an exam question with four lettered options; the answer is a letter."""
    sheet = ", ".join(f"{letter} {value}" for letter, value in zip(LETTERS, options, strict=True))
    return f"exam in {title}: {sheet}.\nwhat is the {relation.noun} of {subject}?\nletter:"


def letter_of(relation: Relation, value: str) -> str:
    """The letter under which every exam lists `value`: exams keep to one answer sheet."""
    return LETTERS[relation.values.index(value) % len(LETTERS)]


def exam_title(relation: Relation, entity: Entity) -> str:
    """The subject under which an exam asks for `relation` of `entity`."""
    if relation is entity.domain.membership:
        return "order"
    return {"animal": "zoology", "thing": "crafts", "person": "biography"}[entity.domain.name]


def choose_thing(purpose: str) -> str:
    """The prompt of an errand that asks which thing serves `purpose`."""
    return f"goal: {purpose}.\nsolution:"


def choose_purpose(thing: Entity) -> str:
    """The prompt of an errand that asks what `thing` serves for."""
    return f"goal: use {thing.subject}.\nsolution:"


def handover(first: Entity, second: Entity, thing: Entity, rng: Random) -> tuple[str, Entity]:
    """A story after which one of two people owns `thing`: the prompt for the owner, and the owner.

    In a third of the stories only the pronoun tells who it is, so the two must differ in it.
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
        story = (
            f"{first.name} met {second.name} at the {place}. {owner.pronoun} had {thing.subject}."
        )
    return f"{story} now the owner of {thing.subject} is", owner


def recall(thing: Entity, place: str, owner: Entity, asked: str) -> str:
    """The prompt of a note about one day that is asked `where` a thing is, or `who` has it."""
    return (
        f"today {thing.subject} is at the {place} with {owner.name}.\n"
        f"question: {asked} is {thing.subject} today?\nanswer:"
    )


def draw_pair(world: World, rng: Random, reserved: bool) -> tuple[Entity, Entity]:
    """Two people of different pronouns who may (not) meet in the text."""
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


def draw_options(relation: Relation, answer: str, count: int, rng: Random) -> list[str]:
    """`count` different values of `relation` in random order, `answer` among them."""
    others = [value for value in relation.values if value != answer]
    options = [answer, *rng.sample(others, count - 1)]
    rng.shuffle(options)
    return options


def draw_exam_options(relation: Relation, answer: str, rng: Random) -> list[str]:
    """One value of `relation` for each letter, in the order of the letters, `answer` among them."""
    sheets = [relation.values[index :: len(LETTERS)] for index in range(len(LETTERS))]
    return [answer if answer in sheet else rng.choice(sheet) for sheet in sheets]


def _documents(world: World, count: int, seed: int, held_out: bool) -> Iterator[str]:
    rng = Random(f"text {seed} {held_out}")
    writers, weights = zip(*_WRITERS, strict=True)
    written = 0
    while written < count:
        document = rng.choices(writers, weights)[0](world, rng)
        if (crc32(document.encode()) % HELD_OUT_ONE_IN == 0) == held_out:
            written += 1
            yield document


def _profile(world: World, rng: Random) -> str:
    entity = rng.choice(world.entities)
    relations = rng.sample(entity.stated, 3)
    return " ".join(statement(entity.subject, each, entity.value(each), rng) for each in relations)


def _lesson(world: World, rng: Random) -> str:
    group: Group = rng.choice(world.groups)
    return " ".join(
        statement(group.subject, relation, group.properties[relation.noun], rng)
        for relation in rng.sample(group.domain.inherited, 2)
    )


def _draw_fact(world: World, rng: Random, form: str) -> tuple[Entity, Relation]:
    while True:
        entity = rng.choice(world.entities)
        relation = rng.choice(entity.stated)
        if not is_reserved(form, entity.name, relation.noun):
            return entity, relation


def _questions(world: World, rng: Random) -> str:
    lines = []
    for _ in range(3):
        entity, relation = _draw_fact(world, rng, "question")
        lines.append(f"{question(entity.subject, relation)} {entity.value(relation)}.")
    return "\n".join(lines)


def _exams(world: World, rng: Random) -> str:
    lines = []
    for _ in range(2):
        entity, relation = _draw_fact(world, rng, "exam")
        answer = entity.value(relation)
        options = draw_exam_options(relation, answer, rng)
        prompt = exam(exam_title(relation, entity), entity.subject, relation, options)
        lines.append(f"{prompt} {letter_of(relation, answer)}.")
    return "\n".join(lines)


def _errands(world: World, rng: Random) -> str:
    lines: list[str] = []
    while len(lines) < 3:
        thing = rng.choice(world.things)
        purpose = rng.choice(thing.group.purposes)
        if is_reserved("purpose", thing.name, purpose):
            continue
        if rng.random() < 0.5:
            lines.append(f"{choose_thing(purpose)} use {thing.subject}.")
        else:
            lines.append(f"{choose_purpose(thing)} {purpose}.")
    return "\n".join(lines)


def _handovers(world: World, rng: Random) -> str:
    lines = []
    for _ in range(2):
        prompt, owner = handover(*draw_pair(world, rng, False), rng.choice(world.things), rng)
        lines.append(f"{prompt} {owner.name}.")
    return "\n".join(lines)


def _recalls(world: World, rng: Random) -> str:
    lines = []
    for _ in range(2):
        thing, place, owner = draw_note(world, rng, reserved=False)
        asked, answer = rng.choice((("where", place), ("who", owner.name)))
        lines.append(f"{recall(thing, place, owner, asked)} {answer}.")
    return "\n".join(lines)


_WRITERS: tuple[tuple[Callable[[World, Random], str], float], ...] = (
    (_profile, 0.36),
    (_lesson, 0.05),
    (_questions, 0.16),
    (_exams, 0.19),
    (_errands, 0.08),
    (_handovers, 0.10),
    (_recalls, 0.06),
)

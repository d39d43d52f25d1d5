"""The miniature world: animals, things and people with attributes, some their own, some inherited.

Every entity belongs to a group (an animal to a class, a thing to a kind, a person to a trade).
Its own attributes are drawn for it alone; inherited ones are its group's. Attributes are drawn at
random, so nothing can be guessed from real-world knowledge. Pure Python; the seed decides all.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Relation:
    """A kind of fact: its noun, the phrase that states it, and the values it takes."""

    noun: str
    phrase: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Domain:
    """A realm of entities: what its members have of their own and what their groups pass on."""

    name: str
    size: int
    named_by_article: bool
    own: tuple[Relation, ...]
    inherited: tuple[Relation, ...]
    membership: Relation

    @property
    def relations(self) -> tuple[Relation, ...]:
        """All relations of a member: its group, its own attributes, the inherited ones."""
        return (self.membership, *self.own, *self.inherited)


@dataclass(frozen=True)
class Group:
    """A class of animals, kind of things or trade of people, and what it gives its members."""

    name: str
    domain: Domain
    properties: Mapping[str, str]
    purposes: tuple[str, ...]

    @property
    def subject(self) -> str:
        """How a sentence about all members names them."""
        return f"every {self.name}"


@dataclass(frozen=True)
class Entity:
    """One animal, thing or person.

    The text never states what a `silent` entity inherits: it has to be inferred from its group.
    """

    name: str
    group: Group
    attributes: Mapping[str, str]
    pronoun: str
    silent: bool

    @property
    def domain(self) -> Domain:
        """The realm of the entity's group."""
        return self.group.domain

    @property
    def subject(self) -> str:
        """How a sentence names the entity."""
        return f"the {self.name}" if self.domain.named_by_article else self.name

    def value(self, relation: Relation) -> str:
        """The value of `relation` for this entity, its own or its group's; KeyError if neither."""
        if relation is self.domain.membership:
            return self.group.name
        if relation.noun in self.attributes:
            return self.attributes[relation.noun]
        return self.group.properties[relation.noun]

    @property
    def stated(self) -> tuple[Relation, ...]:
        """The relations that the text may state about this entity by name."""
        if self.silent:
            return (self.domain.membership, *self.domain.own)
        return self.domain.relations


@dataclass(frozen=True)
class World:
    """All that exists."""

    animals: tuple[Entity, ...]
    things: tuple[Entity, ...]
    people: tuple[Entity, ...]
    groups: tuple[Group, ...]

    @property
    def entities(self) -> tuple[Entity, ...]:
        """Animals, things and people, in this order."""
        return self.animals + self.things + self.people

    def part(self, share: float) -> "World":
        """The world with the first `share` of its animals, things and people, and all groups."""
        animals, things, people = (
            members[: round(share * len(members))]
            for members in (self.animals, self.things, self.people)
        )
        return World(animals, things, people, self.groups)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


SILENT_SHARE = 0.3
PURPOSES_PER_KIND = 8
PLACES = _words("harbour tower mill barn cellar garden market temple bridge station library cave")

_COLOURS = _words("red blue green yellow black white brown grey pink purple orange silver")

ANIMALS = Domain(
    name="animal",
    size=400,
    named_by_article=True,
    membership=Relation(
        "class",
        "is a kind of {}",
        _words(
            "bird fish snake lizard frog beetle spider crab whale bear "
            "cat dog horse deer goat mouse bat monkey turtle worm"
        ),
    ),
    own=(
        Relation(
            "home",
            "lives in the {}",
            _words(
                "forest desert river swamp meadow mountain lake ocean jungle valley island beach"
            ),
        ),
        Relation(
            "food",
            "eats {}",
            _words("grass seeds berries nuts insects leaves roots honey moss fruit shrimp algae"),
        ),
    ),
    inherited=(
        Relation(
            "coat",
            "is covered with {}",
            _words("fur feathers scales wool bristles plates slime spines"),
        ),
        Relation(
            "limb",
            "moves with {}",
            _words("wings fins paws hooves claws flippers suckers tentacles"),
        ),
        Relation(
            "season",
            "hunts in {}",
            _words("spring summer autumn winter january april july october"),
        ),
    ),
)

_VERB_OF_KIND = {
    "knife": "cut",
    "lamp": "light",
    "bucket": "carry",
    "string": "tie",
    "hammer": "break",
    "broom": "clean",
    "needle": "mend",
    "blanket": "cover",
    "oven": "heat",
    "balance": "weigh",
    "chest": "hide",
    "fan": "cool",
    "stamp": "mark",
    "brush": "paint",
    "lens": "inspect",
    "spoon": "stir",
}
_OBJECTS = _words(
    "bread wood cloth paper glass stone water soup sand milk meat cheese wall floor door window "
    "table chair boat wagon gold salt sugar flour cabbage onion potato letter map coat shoe hat"
)

THINGS = Domain(
    name="thing",
    size=400,
    named_by_article=True,
    membership=Relation("kind", "is a kind of {}", tuple(_VERB_OF_KIND)),
    own=(
        Relation("colour", "looks {}", _COLOURS),
        Relation(
            "material",
            "is made of {}",
            _words("iron copper clay ivory leather bone silk bronze marble wax amber tin"),
        ),
    ),
    inherited=(
        Relation(
            "part",
            "has a {}",
            _words("handle blade lid wheel spring hook hinge rim"),
        ),
        Relation(
            "price",
            "costs {}",
            _words("one two three four five six seven eight"),
        ),
        Relation(
            "origin",
            "comes from the {}",
            _words("north south east west coast plains highlands border"),
        ),
    ),
)

PEOPLE = Domain(
    name="person",
    size=200,
    named_by_article=False,
    membership=Relation(
        "trade",
        "works as a {}",
        _words(
            "baker smith tailor farmer sailor miner doctor teacher "
            "painter hunter weaver potter judge poet mason clerk"
        ),
    ),
    own=(
        Relation(
            "town",
            "was born in {}",
            _words(
                "Arden Belmar Corvo Dunmore Estel Farrow Galten Hollin Istra Jorvik Kelda Lorne"
            ),
        ),
        Relation(
            "instrument",
            "plays the {}",
            _words("flute drum harp fiddle trumpet bell organ guitar lute horn piano viola"),
        ),
    ),
    inherited=(
        Relation(
            "garment",
            "wears a {}",
            _words("cloak apron robe scarf vest gown belt tunic"),
        ),
        Relation(
            "guild",
            "serves the {}",
            _words("lion eagle wolf dragon bull stag raven fox"),
        ),
    ),
)

DOMAINS = (ANIMALS, THINGS, PEOPLE)


def build_world(seed: int = 0) -> World:
    """The world of `seed`. The suite, its tasks and its checkpoints use seed 0."""
    rng = Random(f"world {seed}")
    names = _invented_names(rng)
    groups = {domain.name: _groups(domain, rng) for domain in DOMAINS}
    animals, things, people = (
        _members(domain, groups[domain.name], names, rng) for domain in DOMAINS
    )
    return World(animals, things, people, sum(groups.values(), ()))


def _groups(domain: Domain, rng: Random) -> tuple[Group, ...]:
    return tuple(
        Group(
            name=name,
            domain=domain,
            properties={
                relation.noun: rng.choice(relation.values) for relation in domain.inherited
            },
            purposes=_purposes(name, rng) if domain is THINGS else (),
        )
        for name in domain.membership.values
    )


def _purposes(kind: str, rng: Random) -> tuple[str, ...]:
    objects = rng.sample(_OBJECTS, PURPOSES_PER_KIND)
    return tuple(f"{_VERB_OF_KIND[kind]} the {thing}" for thing in objects)


def _members(
    domain: Domain, groups: Sequence[Group], names: Iterator[str], rng: Random
) -> tuple[Entity, ...]:
    """Members spread evenly over the groups; silent ones and pronouns evenly over the members."""
    silent = set(rng.sample(range(domain.size), round(SILENT_SHARE * domain.size)))
    members = []
    for index in range(domain.size):
        name = next(names)
        members.append(
            Entity(
                name=name if domain.named_by_article else name.capitalize(),
                group=groups[index % len(groups)],
                attributes={relation.noun: rng.choice(relation.values) for relation in domain.own},
                pronoun="it" if domain.named_by_article else rng.choice(("he", "she")),
                silent=index in silent,
            )
        )
    return tuple(members)


def _invented_names(rng: Random) -> Iterator[str]:
    """Pronounceable names of two syllables, none twice, in random order."""
    onsets = _words("b d f g k l m n p r s t v z br dr gl kr pl tr")
    codas = _words("b d f k l m n p r s t x")
    names = [
        first + vowel + second + last + coda
        for first in onsets
        for vowel in "aeiou"
        for second in "bdgklmnrtvz"
        for last in "aiou"
        for coda in codas
    ]
    rng.shuffle(names)
    return iter(names)

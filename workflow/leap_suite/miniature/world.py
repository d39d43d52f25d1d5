"""The miniature world: animals, things and people with their own and inherited attributes.

Every entity belongs to a group (an animal to a class, a thing to a kind, a person to a trade) and
inherits the group's attributes. All attributes are random, so that real-world knowledge does not
help. Pure Python, determined by the seed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Relation:
    """A kind of fact: noun, sentence template and possible values."""

    noun: str
    phrase: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Domain:
    """A kind of entities, with the relations of its members and those inherited from groups."""

    name: str
    size: int
    named_by_article: bool
    own: tuple[Relation, ...]
    inherited: tuple[Relation, ...]
    membership: Relation

    @property
    def relations(self) -> tuple[Relation, ...]:
        """All relations of a member: group membership, own attributes, inherited attributes."""
        return (self.membership, *self.own, *self.inherited)


@dataclass(frozen=True)
class Group:
    """A class of animals, kind of things or trade of people, with the attributes of its members."""

    name: str
    domain: Domain
    properties: Mapping[str, str]
    purposes: tuple[str, ...]

    @property
    def subject(self) -> str:
        """The grammatical subject of a sentence about all members."""
        return f"every {self.name}"


@dataclass(frozen=True)
class Entity:
    """One animal, thing or person.

    The text never states the inherited attributes of a `silent` entity; its group implies them.
    """

    name: str
    group: Group
    attributes: Mapping[str, str]
    pronoun: str
    silent: bool

    @property
    def domain(self) -> Domain:
        """The domain of the entity's group."""
        return self.group.domain

    @property
    def subject(self) -> str:
        """The grammatical subject of a sentence about the entity."""
        return f"the {self.name}" if self.domain.named_by_article else self.name

    def value(self, relation: Relation) -> str:
        """Value of `relation`, own or inherited. Raises KeyError if the entity has neither."""
        if relation is self.domain.membership:
            return self.group.name
        if relation.noun in self.attributes:
            return self.attributes[relation.noun]
        return self.group.properties[relation.noun]

    @property
    def stated(self) -> tuple[Relation, ...]:
        """Relations that the text may state about this entity by name."""
        if self.silent:
            return (self.domain.membership, *self.domain.own)
        return self.domain.relations


@dataclass(frozen=True)
class World:
    """All entities and groups."""

    animals: tuple[Entity, ...]
    things: tuple[Entity, ...]
    people: tuple[Entity, ...]
    groups: tuple[Group, ...]

    @property
    def entities(self) -> tuple[Entity, ...]:
        """Animals, things and people, in this order."""
        return self.animals + self.things + self.people

    def part(self, share: float) -> "World":
        """The world reduced to the first `share` of animals, things and people, with all groups."""
        parts = (self.animals, self.things, self.people)
        animals, things, people = (part[: round(share * len(part))] for part in parts)
        return World(animals, things, people, self.groups)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _relation(noun: str, phrase: str, values: str) -> Relation:
    return Relation(noun, phrase, _words(values))


SILENT_SHARE = 0.3
PURPOSES_PER_KIND = 8
PLACES = _words("harbour tower mill barn cellar garden market temple bridge station library cave")

ANIMALS = Domain(
    name="animal",
    size=400,
    named_by_article=True,
    membership=_relation(
        "class",
        "is a kind of {}",
        "bird fish snake lizard frog beetle spider crab whale bear "
        "cat dog horse deer goat mouse bat monkey turtle worm",
    ),
    own=(
        _relation(
            "home",
            "lives in the {}",
            "forest desert river swamp meadow mountain lake ocean jungle valley island beach",
        ),
        _relation(
            "food",
            "eats {}",
            "grass seeds berries nuts insects leaves roots honey moss fruit shrimp algae",
        ),
    ),
    inherited=(
        _relation(
            "coat", "is covered with {}", "fur feathers scales wool bristles plates slime spines"
        ),
        _relation(
            "limb", "moves with {}", "wings fins paws hooves claws flippers suckers tentacles"
        ),
        _relation(
            "season", "hunts in {}", "spring summer autumn winter january april july october"
        ),
    ),
)

_VERB_OF_KIND = dict(
    pair.split(":")
    for pair in _words(
        "knife:cut lamp:light bucket:carry string:tie hammer:break broom:clean needle:mend "
        "blanket:cover oven:heat balance:weigh chest:hide fan:cool stamp:mark brush:paint "
        "lens:inspect spoon:stir"
    )
)
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
        _relation(
            "colour",
            "looks {}",
            "red blue green yellow black white brown grey pink purple orange silver",
        ),
        _relation(
            "material",
            "is made of {}",
            "iron copper clay ivory leather bone silk bronze marble wax amber tin",
        ),
    ),
    inherited=(
        _relation("part", "has a {}", "handle blade lid wheel spring hook hinge rim"),
        _relation("price", "costs {}", "one two three four five six seven eight"),
        _relation(
            "origin", "comes from the {}", "north south east west coast plains highlands border"
        ),
    ),
)

PEOPLE = Domain(
    name="person",
    size=200,
    named_by_article=False,
    membership=_relation(
        "trade",
        "works as a {}",
        "baker smith tailor farmer sailor miner doctor teacher "
        "painter hunter weaver potter judge poet mason clerk",
    ),
    own=(
        _relation(
            "town",
            "was born in {}",
            "Arden Belmar Corvo Dunmore Estel Farrow Galten Hollin Istra Jorvik Kelda Lorne",
        ),
        _relation(
            "instrument",
            "plays the {}",
            "flute drum harp fiddle trumpet bell organ guitar lute horn piano viola",
        ),
    ),
    inherited=(
        _relation("garment", "wears a {}", "cloak apron robe scarf vest gown belt tunic"),
        _relation("guild", "serves the {}", "lion eagle wolf dragon bull stag raven fox"),
    ),
)

DOMAINS = (ANIMALS, THINGS, PEOPLE)


def build_world(seed: int = 0) -> World:
    """Generate the world of `seed`. The suite, its tasks and its checkpoints use seed 0."""
    rng = Random(f"world {seed}")
    names = _invented_names(rng)
    groups = {domain.name: _groups(domain, rng) for domain in DOMAINS}
    animals, things, people = (_members(each, groups[each.name], names, rng) for each in DOMAINS)
    return World(animals, things, people, sum(groups.values(), ()))


def _groups(domain: Domain, rng: Random) -> tuple[Group, ...]:
    return tuple(
        Group(
            name=name,
            domain=domain,
            properties={each.noun: rng.choice(each.values) for each in domain.inherited},
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
    """Entities of a domain, spread evenly over its groups."""
    silent = set(rng.sample(range(domain.size), round(SILENT_SHARE * domain.size)))
    members = []
    for index in range(domain.size):
        name = next(names)
        members.append(
            Entity(
                name=name if domain.named_by_article else name.capitalize(),
                group=groups[index % len(groups)],
                attributes={each.noun: rng.choice(each.values) for each in domain.own},
                pronoun="it" if domain.named_by_article else rng.choice(("he", "she")),
                silent=index in silent,
            )
        )
    return tuple(members)


def _invented_names(rng: Random) -> Iterator[str]:
    """Distinct pronounceable names of two syllables, in random order."""
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

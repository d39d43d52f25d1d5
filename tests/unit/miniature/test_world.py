"""The world: sizes, determinism, inheritance, and the relations stated of silent entities."""

from collections import Counter

import pytest

from suite.miniature.world import DOMAINS, World, build_world


@pytest.fixture(scope="module")
def world() -> World:
    return build_world()


def test_sizes_and_seeds(world: World) -> None:
    assert (len(world.animals), len(world.things), len(world.people)) == (400, 400, 200)
    assert len(world.groups) == sum(len(domain.membership.values) for domain in DOMAINS)
    assert build_world() == world != build_world(1)


def test_names_are_unique_and_are_no_other_word(world: World) -> None:
    names = {entity.name.lower() for entity in world.entities}
    words = {value for domain in DOMAINS for each in domain.relations for value in each.values}
    assert len(names) == len(world.entities)
    assert not names & {word.lower() for word in words}


def test_members_of_a_group_share_inherited_attributes(world: World) -> None:
    for group in world.groups:
        members = [entity for entity in world.entities if entity.group is group]
        assert len(members) >= 10
        for relation in group.domain.inherited:
            (value,) = {member.value(relation) for member in members}
            assert value == group.properties[relation.noun] and value in relation.values


def test_only_own_attributes_of_silent_entities_are_stated(world: World) -> None:
    silent = [entity for entity in world.entities if entity.silent]
    counts = Counter(entity.domain.name for entity in silent)
    assert counts == {"animal": 120, "thing": 120, "person": 60}
    for entity in silent:
        assert not set(entity.stated) & set(entity.domain.inherited)

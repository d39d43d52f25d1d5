"""The world: sizes, determinism, inheritance, and what the text may say of silent entities."""

from collections import Counter

import pytest

from suite.miniature.world import DOMAINS, World, build_world


@pytest.fixture(scope="module")
def world() -> World:
    return build_world()


def test_sizes(world: World) -> None:
    assert (len(world.animals), len(world.things), len(world.people)) == (400, 400, 200)
    assert len(world.groups) == sum(len(domain.membership.values) for domain in DOMAINS)


def test_same_seed_same_world_other_seed_other_world(world: World) -> None:
    assert build_world() == world
    assert build_world(1) != world


def test_names_are_unique_and_are_no_other_word(world: World) -> None:
    names = {entity.name.lower() for entity in world.entities}
    words = {value for domain in DOMAINS for each in domain.relations for value in each.values}
    assert len(names) == len(world.entities)
    assert not names & {word.lower() for word in words}


def test_every_relation_has_a_value_from_its_list(world: World) -> None:
    for entity in world.entities:
        for relation in entity.domain.relations:
            assert entity.value(relation) in relation.values


def test_members_of_a_group_share_what_is_inherited(world: World) -> None:
    for group in world.groups:
        members = [entity for entity in world.entities if entity.group is group]
        assert len(members) >= 10
        for relation in group.domain.inherited:
            assert {member.value(relation) for member in members} == {
                group.properties[relation.noun]
            }


def test_silent_entities_are_stated_by_their_own_facts_only(world: World) -> None:
    silent = [entity for entity in world.entities if entity.silent]
    assert Counter(entity.domain.name for entity in silent) == {
        "animal": 120,
        "thing": 120,
        "person": 60,
    }
    for entity in silent:
        assert not set(entity.stated) & set(entity.domain.inherited)

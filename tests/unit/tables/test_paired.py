"""Paired tests over items, against drawing signs at random."""

import random

import pytest

from suite.tables.paired import Paired, combine, compare


def items(columns):
    return {name: {name: dict(enumerate(values))} for name, values in columns.items()}


def drawn(seed, count, better):
    random.seed(seed)
    first = {name: [int(random.random() < 0.5 + better) for _ in range(count)] for name in "ab"}
    second = {name: [int(random.random() < 0.5) for _ in range(count)] for name in "ab"}
    return first, second


def difference(first, second):
    means = [sum(first[n]) / len(first[n]) - sum(second[n]) / len(second[n]) for n in first]
    return 100 * sum(means) / len(means)


@pytest.mark.parametrize(("seed", "better"), [(0, 0.0), (1, 0.1), (2, 0.15)])
def test_p_is_that_of_swapping_the_two_at_random(seed, better):
    first, second = drawn(seed, 150, better)
    test = compare([items(first)], [items(second)])
    assert test.difference == pytest.approx(difference(first, second))
    extreme = 0.0
    for _ in range(4000):
        pairs = {
            n: [random.sample(pair, 2) for pair in zip(first[n], second[n], strict=True)]
            for n in first
        }
        one = {n: [a for a, _ in pair] for n, pair in pairs.items()}
        other = {n: [b for _, b in pair] for n, pair in pairs.items()}
        # an equal one counts half, since differences come in steps and the normal does not
        excess = abs(difference(one, other)) - abs(test.difference)
        extreme += 0.5 if abs(excess) < 1e-9 else float(excess > 0)
    assert extreme / 4000 == pytest.approx(test.p_value, abs=0.03)


def test_seeds_are_averaged_item_by_item():
    first = [items({"a": [1, 0, 1, 1]}), items({"a": [1, 1, 0, 0]})]
    test = compare(first, [items({"a": [1, 0, 0, 0]})])
    # differences 0, 1/2, 1/2, 1/2
    assert test.difference == pytest.approx(37.5)
    assert test.standard_error == pytest.approx(12.5)


def test_columns_count_alike_whatever_their_size():
    first = items({"a": [1] * 10, "b": [0, 1] * 50})
    second = items({"a": [0] * 10, "b": [0, 1] * 50})
    test = compare([first], [second])
    assert test == Paired(50.0, 0.0, 0.0)
    assert compare([second], [second]).p_value == 1.0


def test_other_items_are_refused():
    with pytest.raises(ValueError, match="did not answer the same items"):
        compare([items({"a": [1, 0]})], [items({"a": [1, 0, 1]})])


def test_combining_takes_cells_as_independent():
    whole = combine([Paired(2.0, 3.0, 0.5), Paired(4.0, 4.0, 0.3)])
    assert (whole.difference, whole.standard_error) == (3.0, 2.5)
    assert whole.p_value == pytest.approx(0.2301, abs=1e-4)

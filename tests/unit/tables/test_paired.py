"""Paired tests over items, against drawing signs at random; over cells, against slow formulas."""

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.tables.paired import Paired, average, combine, compare


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
    assert (test.difference, test.standard_error, test.p_value) == (50.0, 0.0, 0.0)
    assert compare([second], [second]).p_value == 1.0


def test_other_items_are_refused():
    with pytest.raises(ValueError, match="did not answer the same items"):
        compare([items({"a": [1, 0]})], [items({"a": [1, 0, 1]})])


def test_combining_takes_cells_without_common_items_as_independent():
    parts = [Paired(2.0, {("a", "a", 0): 3.0}), Paired(4.0, {("a", "a", 1): 4.0})]
    whole = combine(parts)
    assert (whole.difference, whole.standard_error) == (3.0, 2.5)
    assert whole.p_value == pytest.approx(0.2301, abs=1e-4)


def test_an_average_has_the_error_of_its_columns():
    values = {"a": [1, 0, 1, 1], "b": [0, 1]}
    one = average([items(values)])
    assert one.difference == pytest.approx(100 * (0.75 + 0.5) / 2)
    variance = sum(np.var(v, ddof=1) / len(v) for v in values.values()) / 4
    assert one.standard_error == pytest.approx(100 * math.sqrt(variance))
    none = {name: [0] * len(v) for name, v in values.items()}
    assert compare([items(values)], [items(none)]) == one


# Several cells. A cell is here column -> differences by item, from -1 to 1


def cell(columns):
    """The comparison that has these differences."""
    first = {c: {c: {i: max(d, 0) for i, d in items.items()}} for c, items in columns.items()}
    second = {c: {c: {i: max(-d, 0) for i, d in items.items()}} for c, items in columns.items()}
    return compare([first], [second])


def numbered(columns, start=0):
    return {name: dict(enumerate(values, start)) for name, values in columns.items()}


def covariances(cells):
    """The variance of the mean as the sum of all covariances of two cells: all have all items."""
    variance = 0.0
    for column in cells[0]:
        values_KN = np.array([list(columns[column].values()) for columns in cells])
        covariance_KK = np.atleast_2d(np.cov(values_KN, ddof=1)) / values_KN.shape[1]
        variance += covariance_KK.sum() / len(cells) ** 2 / len(cells[0]) ** 2
    return variance


def test_the_error_of_a_mean_over_cells_is_that_of_all_covariances():
    random = np.random.default_rng(5)
    sizes = {"a": 40, "b": 25, "c": 7}
    cells = []
    for _ in range(6):
        columns = {name: random.choice([-1, 0, 1], size).tolist() for name, size in sizes.items()}
        cells.append(numbered(columns))
    whole = combine([cell(columns) for columns in cells])
    assert whole.standard_error == pytest.approx(100 * math.sqrt(covariances(cells)))
    means = [np.mean([np.mean(list(v.values())) for v in columns.values()]) for columns in cells]
    assert whole.difference == pytest.approx(100 * np.mean(means))


def test_the_error_is_how_far_the_mean_really_scatters_over_draws_of_items():
    """Four cells answer the same 80 items, of which some are hard for one method in every cell."""
    random = np.random.default_rng(11)
    means, errors, naive = [], [], []
    for _ in range(600):
        hard_N = random.choice([-0.5, 0.0, 0.7], 80)
        chance_KN = np.clip(0.4 + hard_N + random.normal(0, 0.2, (4, 80)), 0, 1)
        parts = [cell(numbered({"a": (random.random(80) < c).astype(int)})) for c in chance_KN]
        whole = combine(parts)
        means.append(whole.difference)
        errors.append(whole.standard_error)
        naive.append(math.sqrt(sum(part.standard_error**2 for part in parts)) / 4)
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.06)
    assert np.mean(naive) < 0.75 * np.std(means), "as if all cells had items of their own"


@st.composite
def columns(draw):
    counts = {name: draw(st.integers(1, 6)) for name in draw(st.sampled_from(["a", "ab", "abc"]))}
    return {
        name: draw(st.lists(st.integers(-1, 1), min_size=count, max_size=count))
        for name, count in counts.items()
    }


@given(columns())
def test_one_cell_and_the_same_cell_again_have_the_error_of_one(values):
    one = cell(numbered(values))
    variance = 0.0
    for numbers in values.values():
        spread = np.var(numbers, ddof=1) if len(numbers) > 1 else 0.0
        variance += spread / len(numbers) / len(values) ** 2
    assert one.standard_error == pytest.approx(100 * math.sqrt(variance), abs=1e-9)
    for repeated in (1, 2, 5):
        whole = combine([one] * repeated)
        assert whole.difference == pytest.approx(one.difference)
        assert whole.standard_error == pytest.approx(one.standard_error)
        assert whole.p_value == pytest.approx(one.p_value, abs=1e-6)


@given(st.lists(columns(), min_size=1, max_size=5))
def test_cells_of_other_items_are_independent(several):
    parts = [cell(numbered(values, 100 * k)) for k, values in enumerate(several)]
    errors = [part.standard_error for part in parts]
    assert combine(parts).standard_error == pytest.approx(math.hypot(*errors) / len(errors))


@given(columns(), columns())
def test_the_mean_of_two_cells_is_never_surer_of_itself_than_their_errors_allow(one, other):
    parts = [cell(numbered(values)) for values in (one, other)]
    low, high = sorted(part.standard_error for part in parts)
    error = combine(parts).standard_error
    assert (high - low) / 2 - 1e-9 <= error <= (high + low) / 2 + 1e-9

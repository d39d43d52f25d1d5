"""Paired tests against random sign flips; clustered errors against slow formulas; means."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leap_suite.results.frame import ITEM
from leap_suite.results.statistics import (
    between_seeds,
    combine,
    compare,
    leads,
    over_places,
    two_sided,
)


def scores(*seeds, start=0):
    """A column a seed, of lists of values by task, whose items are numbered from `start`."""
    columns = [
        {(task, task, n): v for task, values in tasks.items() for n, v in enumerate(values, start)}
        for tasks in seeds
    ]
    index = pd.MultiIndex.from_tuples(dict.fromkeys(k for c in columns for k in c), names=ITEM)
    return pd.DataFrame([[column.get(n, math.nan) for column in columns] for n in index], index)


@pytest.mark.parametrize(("seed", "better"), [(0, 0.0), (1, 0.1), (2, 0.15)])
def test_p_is_that_of_swapping_the_two_at_random(seed, better):
    random = np.random.default_rng(seed)
    first_TN, second_TN = random.random((2, 2, 150)) < [[[0.5 + better]], [[0.5]]]
    test = compare(*(scores({"a": a, "b": b}) for a, b in (first_TN * 1, second_TN * 1)))
    difference_TN = first_TN * 1.0 - second_TN
    assert test.difference == pytest.approx(100 * difference_TN.mean())
    signs_DTN = random.choice([-1, 1], (4000, *difference_TN.shape))
    swapped_D = np.abs(100 * (signs_DTN * difference_TN).mean(axis=(1, 2)))
    # an equal one counts half, since differences come in steps and the normal does not
    excess_D = np.round(swapped_D - abs(test.difference), 9)
    assert ((1 + np.sign(excess_D)) / 2).mean() == pytest.approx(test.p_value, abs=0.03)


def test_seeds_are_averaged():
    test = compare(scores({"a": [1, 0, 1, 1]}, {"a": [1, 1, 0, 0]}), scores({"a": [1, 0, 0, 0]}))
    # differences 0, 1/2, 1/2, 1/2
    assert (test.difference, test.standard_error) == pytest.approx((37.5, 12.5))
    assert two_sided(-3.0, 2.5) == pytest.approx(0.2301, abs=1e-4) and two_sided(0, 0) == 1


def test_other_items_are_refused_also_of_another_seed():
    two, three = {"a": [1, 0]}, {"a": [1, 0, 1]}
    with pytest.raises(ValueError, match="two checkpoints did not answer the same items"):
        compare(scores(two), scores(three))
    with pytest.raises(ValueError, match="seeds of a checkpoint did not answer the same items"):
        compare(scores(three, two), scores(three))
    # what neither answered is an item of other cells
    assert compare(scores(two).reindex(scores(three).index), scores(two)).p_value == 1.0


# Several cells, each task -> differences by item, from -1 to 1


def cell(tasks, start=0):
    """The comparison that has these differences."""
    signs = ({t: [max(sign * d, 0) for d in v] for t, v in tasks.items()} for sign in (1, -1))
    return compare(*(scores(of, start=start) for of in signs))


def covariances(cells):
    """Variance of the mean as the sum of covariances of all pairs of cells."""
    variance = 0.0
    for task, values in cells[0].items():
        if len(values) > 1:
            values_KN = np.array([tasks[task] for tasks in cells])
            covariance_KK = np.atleast_2d(np.cov(values_KN, ddof=1)) / len(values)
            variance += covariance_KK.sum() / len(cells) ** 2 / len(cells[0]) ** 2
    return variance


@st.composite
def several(draw):
    """Up to five cells with the same items of up to three tasks."""
    counts = {name: draw(st.integers(1, 8)) for name in draw(st.sampled_from(["a", "ab", "abc"]))}
    cell = st.fixed_dictionaries(
        {t: st.lists(st.integers(-1, 1), min_size=n, max_size=n) for t, n in counts.items()}
    )
    return draw(st.lists(cell, min_size=1, max_size=5))


@settings(max_examples=40, deadline=None)
@given(several())
def test_an_item_of_several_cells_is_one_draw(cells):
    whole = combine(map(cell, cells))
    assert whole.standard_error == pytest.approx(100 * math.sqrt(covariances(cells)), abs=1e-9)
    each = [np.mean([np.mean(values) for values in tasks.values()]) for tasks in cells]
    assert whole.difference == pytest.approx(100 * np.mean(each))
    # and cells of other items are independent
    apart = [cell(tasks, 100 * k) for k, tasks in enumerate(cells)]
    error = math.hypot(*(part.standard_error for part in apart)) / len(apart)
    assert combine(apart).standard_error == pytest.approx(error)


# Several trainings


def trainings(random, effects, items=200):
    """Scores of two tasks; every training is better or worse by its effect, every item too."""
    ease_TN = random.random((2, items))
    right_STN = random.random((len(effects), 2, items)) * 0.2 + ease_TN * 0.8
    shares = 0.5 + np.asarray(effects)
    return scores(*({"a": a, "b": b} for a, b in (right_STN < shares[:, None, None]) * 1))


@pytest.mark.parametrize("spread", [0.0, 0.05])
def test_the_variance_between_trainings_is_what_was_drawn(spread):
    """Of many cells; items alone explain none of it."""
    random = np.random.default_rng(0)
    cells = [trainings(random, random.normal(0, spread, 3)) for _ in range(150)]
    # a share's change moves the scores of this many more items
    steep = np.diff([trainings(random, [e], 20000).mean().item() for e in (-0.05, 0.05)])[0] / 0.1
    found = between_seeds(cells)
    assert found == pytest.approx((100 * steep * spread) ** 2, rel=0.25, abs=0.3)


def test_two_trainings_by_hand_and_pooling_by_degrees_of_freedom():
    two = scores({"a": [1, 1, 1, 0, 1, 1]}, {"a": [1, 0, 0, 0, 0, 0]})
    pair = compare(two[[0]], two[[1]])
    by_hand = (pair.difference**2 - pair.standard_error**2) / 2
    assert between_seeds([two]) == pytest.approx(by_hand) and by_hand > 0
    same = scores(*[{"a": [1, 0, 1, 0, 1, 1]}] * 3)
    assert between_seeds([two, same, same[[0]]]) == pytest.approx(by_hand / 3)
    assert between_seeds([same]) == 0 and between_seeds([same[[0]], two[[0]]]) is None
    noisy = scores({"a": [1, 0, 1, 0]}, {"a": [0, 1, 0, 1]})
    assert between_seeds([noisy]) == 0, "items explain more than all of it"


def test_leads_have_the_variance_of_both_sides_by_their_numbers_of_seeds():
    two = scores({"a": [1, 1, 1, 0, 1, 1]}, {"a": [1, 0, 0, 0, 0, 0]})
    one = scores({"a": [0, 1, 0, 0, 0, 0]})
    variance = between_seeds([two])
    first, second = leads([two, two[[0]]], [one, one])
    assert (first.seeds, second.seeds) == pytest.approx((variance / 2, variance))
    assert first.item_error == compare(two, one).standard_error
    assert first.standard_error == pytest.approx(math.sqrt(first.item_error**2 + variance / 2))
    (reverse,) = leads([one], [two])
    assert reverse.standard_error == pytest.approx(first.standard_error)
    # trainings of two cells are independent, their items are not
    both = combine([first, second])
    assert both.seeds == pytest.approx((variance / 2 + variance) / 4)
    assert both.p_value == two_sided(both.difference, both.standard_error)


# Means over seeds and places, and recovered shares
def test_a_mean_over_places_lacks_none():
    cells = {"model": "m", "method": "a", "sparsity": [0.5, 0.6], "seed": 0}
    frame = pd.DataFrame({**cells, "ppl": [2.0, 4.0], "seconds": [1.0, math.nan]})
    assert over_places(frame, "ppl") == 3
    assert math.isnan(over_places(frame, "seconds")) and math.isnan(over_places(frame, "none"))

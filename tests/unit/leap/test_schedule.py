"""Schedules at their first, middle and last step."""

import math

import pytest

from leap.training.schedule import learning_rate, linear, progress

STEPS = 2000


def test_progress_begins_at_zero_and_never_reaches_one():
    assert [progress(step, STEPS) for step in (0, 1000, 1999)] == [0, 0.5, 0.9995]
    assert progress(0, 1) == 0


@pytest.mark.parametrize(
    ("ends", "values"),
    [
        ((25.0, 350.0), (25.0, 187.5, 350.0 - 325.0 / STEPS)),
        ((4.0, 0.05), (4.0, 2.025, 0.05 + 3.95 / STEPS)),
        ((3.0, 3.0), (3.0, 3.0, 3.0)),
    ],
)
def test_linear_schedules_go_from_one_end_towards_the_other(ends, values):
    found = [linear(ends, step, STEPS) for step in (0, STEPS // 2, STEPS - 1)]
    assert found == pytest.approx(values, rel=1e-12)


def test_the_learning_rate_warms_up_in_equal_parts():
    rates = [learning_rate(1e-3, 5, step, STEPS) for step in range(5)]
    assert rates == pytest.approx([2e-4, 4e-4, 6e-4, 8e-4, 1e-3])


def test_after_the_warm_up_it_falls_like_a_cosine():
    assert learning_rate(1e-3, 5, 5, STEPS) == 1e-3
    assert learning_rate(1e-3, 0, STEPS // 2, STEPS) == pytest.approx(5e-4)
    last = learning_rate(1e-3, 5, STEPS - 1, STEPS)
    assert last == pytest.approx(1e-3 * (1 + math.cos(math.pi * 1994 / 1995)) / 2)
    assert 0 < last < 1e-8
    rates = [learning_rate(1e-3, 5, step, STEPS) for step in range(5, STEPS)]
    assert rates == sorted(rates, reverse=True)


def test_without_warm_up_the_first_step_has_the_peak():
    assert learning_rate(1e-3, 0, 0, STEPS) == 1e-3
    assert learning_rate(1e-3, 0, 0, 1) == 1e-3


@pytest.mark.parametrize("steps", [1, 4, 5, 6])
def test_warm_up_as_long_as_the_training_or_longer_is_no_special_case(steps):
    rates = [learning_rate(1e-3, 5, step, steps) for step in range(steps)]
    assert rates == pytest.approx([1e-3 * min(step + 1, 5) / 5 for step in range(steps)])

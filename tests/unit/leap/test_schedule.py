"""Learning-rate schedule at its ends; values in between: test_training.py."""

import math

import pytest

from leap.training.schedule import learning_rate

STEPS = 2000


def test_after_the_warm_up_it_falls_like_a_cosine():
    assert learning_rate(1e-3, 5, 5, STEPS) == 1e-3
    assert learning_rate(1e-3, 0, STEPS // 2, STEPS) == pytest.approx(5e-4)
    last = learning_rate(1e-3, 5, STEPS - 1, STEPS)
    assert last == pytest.approx(1e-3 * (1 + math.cos(math.pi * 1994 / 1995)) / 2)
    assert 0 < last < 1e-8
    rates = [learning_rate(1e-3, 5, step, STEPS) for step in range(5, STEPS)]
    assert rates == sorted(rates, reverse=True)


def test_or_like_a_straight_line_without_a_warm_up_from_the_first_step_on():
    rates = [learning_rate(1e-3, 0, step, 4, "linear") for step in range(4)]
    assert rates == pytest.approx([1e-3, 7.5e-4, 5e-4, 2.5e-4])
    rates = [learning_rate(1e-3, 2, step, 6, "linear") for step in range(6)]
    assert rates == pytest.approx([5e-4, 1e-3, 1e-3, 7.5e-4, 5e-4, 2.5e-4])


@pytest.mark.parametrize("decay", ["cosine", "linear"])
@pytest.mark.parametrize("steps", [1, 4, 5, 6])
def test_warm_up_as_long_as_the_training_or_longer_is_no_special_case(steps, decay):
    rates = [learning_rate(1e-3, 5, step, steps, decay) for step in range(steps)]
    assert rates == pytest.approx([1e-3 * min(step + 1, 5) / 5 for step in range(steps)])

"""Exact counts."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from leap.budget import layer_survivors, survivors

SPARSITIES = st.integers(1, 999).map(lambda thousandths: thousandths / 1000)


@given(st.integers(0, 10**10), SPARSITIES)
def test_survivors_round_the_exact_product(weights, sparsity):
    exact = (1 - Fraction(round(sparsity * 1000), 1000)) * weights
    assert abs(survivors(weights, sparsity) - exact) <= Fraction(1, 2)


def test_counts_that_floating_point_gets_wrong():
    assert survivors(5, 0.9) == 1  # one half, up; 5 * (1 - 0.9) is 0.49999999999999994
    assert survivors(100, 0.29) == 71
    assert survivors(7 * 10**9, 0.6) == 28 * 10**8


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=30), SPARSITIES)
def test_layers_add_up_and_each_is_within_one(sizes, sparsity):
    named = {str(index): size for index, size in enumerate(sizes)}
    counts = layer_survivors(named, sparsity)
    assert sum(counts.values()) == survivors(sum(sizes), sparsity)
    for name, size in named.items():
        assert abs(counts[name] - (1 - Fraction(str(sparsity))) * size) <= 1
        assert 0 <= counts[name] <= size

"""Exact selection against sorting in plain Python."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from baselines import selection
from baselines.selection import keep_largest, keep_largest_per_row

# few distinct values, so that ties are the rule
SCORES = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=9),
    elements=st.integers(0, 4).map(float),
)


def best(row: list[float], count: int) -> list[bool]:
    order = sorted(range(len(row)), key=lambda index: (-row[index], index))
    return [index in order[:count] for index in range(len(row))]


@settings(deadline=None)
@given(SCORES, st.floats(0, 1))
def test_layer_selection_is_the_sorted_prefix(scores, fraction):
    keep = round(fraction * scores.size)
    mask = keep_largest(torch.from_numpy(scores), keep)
    assert mask.flatten().tolist() == best(scores.flatten().tolist(), keep)


@settings(deadline=None)
@given(SCORES, st.floats(0, 1))
def test_row_selection_is_sorted_within_rows_and_exact_in_the_layer(scores, fraction):
    keep = round(fraction * scores.size)
    mask = keep_largest_per_row(torch.from_numpy(scores), keep)
    assert int(mask.sum()) == keep
    per_row = keep // scores.shape[0]
    extra = []
    for row, kept in zip(scores.tolist(), mask.tolist(), strict=True):
        count = sum(kept)
        assert count - per_row in (0, 1)
        assert kept == best(row, count)
        following = sorted(row, reverse=True)[per_row] if per_row < len(row) else None
        extra.append((count - per_row, following))
    given_one = [value for more, value in extra if more]
    given_none = [value for more, value in extra if not more]
    if given_one and given_none:
        assert min(given_one) >= max(given_none)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("budget", ["layer", "row", "2:4"])
def test_a_gpu_selects_what_a_cpu_selects(budget):
    score = torch.randn(256, 512, generator=torch.Generator().manual_seed(0)).round(decimals=1)
    keep = score.numel() // 2
    expected = selection.select(score, keep, budget)
    assert torch.equal(selection.select(score.cuda(), keep, budget).cpu(), expected)

"""The largest numbers of a matrix, against sorting."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from leap.distributed.topk import largest

# few values, so that there are ties; the smallest number, the largest, and none at all
NUMBERS = st.sampled_from([0.0, 1e-45, 1e-38, 0.1, 0.1000001, 1.0, 3.4e38])
MATRICES = arrays("float32", array_shapes(min_dims=2, max_dims=2, max_side=7), elements=NUMBERS)


def by_sorting(score, keep):
    flat = score.flatten().tolist()
    order = sorted(range(len(flat)), key=lambda place: (-flat[place], place))
    return [place in order[:keep] for place in range(len(flat))]


@settings(deadline=None)  # a busy machine is no failure
@given(MATRICES, st.floats(0, 1))
def test_as_many_as_asked_for_and_the_first_of_equal_ones(matrix, share):
    score_OI = torch.from_numpy(matrix)
    keep = round(share * score_OI.numel())
    mask_OI = largest(score_OI, keep, split=False)
    assert int(mask_OI.sum()) == keep
    assert mask_OI.flatten().tolist() == by_sorting(score_OI, keep)


@pytest.mark.parametrize("keep", [0, 1, 2500, 4999, 5000])
def test_of_many_numbers_too(keep):
    score_OI = torch.randn(50, 100, generator=torch.Generator().manual_seed(0)).abs()
    before = score_OI.clone()
    mask_OI = largest(score_OI, keep, split=False)
    assert mask_OI.flatten().tolist() == by_sorting(score_OI, keep)
    assert torch.equal(score_OI, before)


def test_a_matrix_that_is_a_view_has_its_own_places():
    score_OI = torch.tensor([[1.0, 2.0, 2.0], [2.0, 0.0, 3.0]]).T
    assert largest(score_OI, 3, split=False).tolist() == [[False, True], [True, False],
                                                          [False, True]]  # fmt: skip

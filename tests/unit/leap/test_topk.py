"""Exact top-k masks against sorting, by `kthvalue` in one part and by counts in several."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from leap.distributed import topk
from leap.topk import largest

# both zeros, subnormal numbers and infinities; few distinct values, so that ties are common
FLOATS = st.floats(allow_nan=False, width=16) | st.sampled_from([0.0, -0.0, 1.0, -torch.inf])
MATRICES = hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9),
                      elements=FLOATS)  # fmt: skip
KINDS = st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64])


def first_largest(row: list[float], keep: int) -> list[bool]:
    order = sorted(range(len(row)), key=lambda index: (-row[index], index))
    return [index in order[:keep] for index in range(len(row))]


@settings(deadline=None)
@given(MATRICES, KINDS, st.data())
def test_each_row_keeps_its_largest_scores_however_it_is_divided(scores, kind, data):
    score = torch.from_numpy(scores).to(kind)
    keep = data.draw(st.integers(0, score.shape[1]))
    cuts = sorted(data.draw(st.lists(st.integers(0, score.shape[1]), min_size=1, max_size=3)))
    (whole,) = largest([score], keep)
    assert whole.tolist() == [first_largest(row, keep) for row in score.tolist()]
    parts = largest(score.tensor_split(cuts, dim=1), keep)
    assert torch.equal(torch.cat(parts, dim=1), whole)


@pytest.mark.parametrize("shape", [(1, 1 << 20), (512, 2048), (1 << 18, 4)])
def test_counts_find_the_masks_of_large_matrices_too(shape):
    score = torch.randn(shape, generator=torch.Generator().manual_seed(0)).round(decimals=3)
    for keep in {1, shape[1] // 2, shape[1]}:
        parts = largest(score.tensor_split(2, dim=1), keep)
        assert torch.equal(torch.cat(parts, dim=1), largest([score], keep)[0])


def test_a_matrix_that_is_a_view_has_its_own_places():
    score_OI = torch.tensor([[1.0, 2.0, 2.0], [2.0, 0.0, 3.0]]).T
    wanted = [[False, True], [True, False], [False, True]]
    assert topk.largest(score_OI, 3, split=False).tolist() == wanted

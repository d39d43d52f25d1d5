"""Rounded weights are on a grid of few levels, as near as it allows."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from baselines.rounding import Settings, prune
from leap_suite.plan.config import load
from leap_suite.plan.grid import cells
from leap_suite.sparse.rounded import RoundedLinear, can_hold


@settings(deadline=None, max_examples=50)
@given(
    rows=st.integers(1, 5),
    columns=st.integers(1, 150),
    bits=st.sampled_from([4, 8]),
    group=st.sampled_from([0, 1, 64]),
    seed=st.integers(0, 99),
)
def test_every_weight_moves_by_half_a_step_at_most(rows, columns, bits, group, seed):
    weight_OI = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    weight_OI[:, ::7] = 0
    rounded_OI, mask_OI = prune(weight_OI, None, weight_OI.numel(), Settings(bits, group))
    assert mask_OI.all() and rounded_OI.shape == weight_OI.shape
    width, largest = group or columns, 2 ** (bits - 1) - 1
    for row in range(rows):
        for first in range(0, columns, width):
            own, found = (x[row, first : first + width].double() for x in (weight_OI, rounded_OI))
            step = float((own.abs().max().float() / largest).bfloat16())
            # the largest weight may also lose what the step lost in bfloat16
            assert (found - own).abs().max() <= step / 2 + 2**-8 * own.abs().max() + 1e-7
            levels = found / (step or 1)
            assert torch.allclose(levels, levels.round(), atol=1e-4)
            assert levels.abs().max() <= largest


def test_weights_cannot_be_removed():
    with pytest.raises(ValueError, match="rounding removes no weights: its sparsity is 0"):
        prune(torch.ones(2, 2), None, 3, Settings())


def test_its_only_cell_has_sparsity_0():
    settings = load(
        {"scale": "mini", "hub_mirror": "", "grid": {"methods": ["wanda", "rounding-4"]}}
    )
    found = {(cell.method, cell.sparsity) for cell in cells(settings)}
    assert found == {("dense", "0.0"), ("rounding-4", "0.0"), ("wanda", "0.5"), ("wanda", "0.6")}


@pytest.mark.parametrize(("bits", "group"), [(8, 0), (4, 64)])
def test_torchs_kernels_multiply_the_same_weights(bits, group):
    torch.manual_seed(0)
    linear = torch.nn.Linear(192, 48).bfloat16()
    rounded_OI, _ = prune(linear.weight.detach(), None, 192 * 48, Settings(bits, group))
    with torch.no_grad():
        linear.weight.copy_(rounded_OI)
    inputs = torch.randn(2, 3, 192).bfloat16()
    assert can_hold(linear, bits, group)
    found = RoundedLinear(linear, bits, group)(inputs).double()
    exact = torch.nn.functional.linear(inputs.double(), rounded_OI.double(), linear.bias.double())
    assert found.shape == exact.shape
    assert (found - exact).abs().max() <= 0.02 * exact.abs().max()
    assert not can_hold(torch.nn.Linear(100, 48), bits, group)

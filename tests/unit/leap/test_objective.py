"""The density term where layers cancel out or differ in size; formulas: test_training.py."""

import pytest
import torch

from leap.training.objective import density_term


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def test_blocks_that_cancel_out_satisfy_the_global_term_only():
    kept, sizes = tensor([10.0, 0.0]), tensor([10.0, 10.0])
    assert float(density_term(kept, sizes, torch.tensor([0, 1]), 2, 0.5, "global")) == 0
    assert float(density_term(kept, sizes, torch.tensor([0, 1]), 2, 0.5, "per_block")) == 0.5


def test_float32_layers_are_summed_without_losing_small_ones():
    """A sum of masks as large as a big model's, given in float64 as the gates do."""
    kept = tensor([2.0**33, 3.0])
    sizes = tensor([2.0**34, 8.0])
    wanted = (2**33 + 3) / (2**34 + 8) - 0.25
    assert float(
        density_term(kept, sizes, torch.tensor([0, 0]), 1, 0.25, "global")
    ) == pytest.approx(wanted, abs=1e-15)

"""Products of bfloat16 numbers lose nothing, and the machine's settings are left as they were."""

import pytest
import torch

from leap.model.products import exact_products

BACKENDS = torch.backends.mkldnn.matmul, torch.backends.cuda.matmul


def precisions():
    return [backend.fp32_precision for backend in BACKENDS]


def test_the_settings_are_left_as_they_were():
    before = precisions()
    with pytest.raises(RuntimeError), exact_products(torch.bfloat16):
        assert precisions() == ["bf16", "tf32"]
        raise RuntimeError
    assert precisions() == before


def test_nothing_is_set_for_another_dtype():
    before = precisions()
    with exact_products(torch.float32):
        assert precisions() == before


@pytest.mark.parametrize("shape", [(7, 5, 3), (300, 64, 70), (2000, 48, 48)])
def test_products_of_bfloat16_numbers_are_exact(shape):
    """As far as a float32 sum is: of a matrix with large and small numbers, against float64."""
    tokens, rows, columns = shape
    random = torch.Generator().manual_seed(0)
    scale = 10.0 ** torch.randint(-3, 4, (1, rows), generator=random)
    left = (torch.randn(tokens, rows, generator=random) * scale).bfloat16().float()
    right = torch.randn(tokens, columns, generator=random).bfloat16().float()
    with exact_products(torch.bfloat16):
        found = left.T @ right
    exact = left.double().T @ right.double()
    bound = left.double().abs().T @ right.double().abs()
    assert ((found - exact).abs() <= tokens**0.5 * 2**-24 * 4 * bound).all()

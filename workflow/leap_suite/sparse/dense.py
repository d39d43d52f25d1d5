"""Linear layer with a dense weight that a kernel of this package multiplies with one token.

Packed models have it as their head, which is not pruned and can be a third of their bytes.
"""

import torch
from torch import Tensor, nn

from leap_suite.sparse import cpu


class DenseLinear(nn.Linear):
    """`nn.Linear`, by `dense.cpp` where it can, and otherwise by torch."""

    def forward(self, input: Tensor) -> Tensor:
        tokens_NI = input.reshape(-1, self.in_features)
        if not cpu.can_multiply(tokens_NI, self.weight):
            return super().forward(input)
        products_NO = cpu.dense(tokens_NI, self.weight).view(*input.shape[:-1], self.out_features)
        return products_NO if self.bias is None else products_NO + self.bias


def like(linear: nn.Linear) -> DenseLinear:
    """Layer with the parameters of `linear`."""
    with torch.device("meta"):
        layer = DenseLinear(linear.in_features, linear.out_features, bias=False)
    layer.weight, layer.bias = linear.weight, linear.bias
    return layer

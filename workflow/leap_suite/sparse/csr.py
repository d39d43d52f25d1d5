"""Linear layer in torch's compressed sparse rows, for comparison.

Axes: N tokens, O outputs, I inputs.
"""

import warnings

import torch
from torch import Tensor, nn


class CsrLinear(nn.Module):
    """`nn.Linear` with a sparse weight [O, I] in float32, with 32-bit indices.

    torch has no such products in bfloat16 on CPUs.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "in beta state"
            found = linear.weight.detach().float().to_sparse_csr()
            rows, columns = found.crow_indices().int(), found.col_indices().int()
            self.weight = torch.sparse_csr_tensor(rows, columns, found.values(), found.shape)
        self.bias = linear.bias

    def forward(self, inputs: Tensor) -> Tensor:
        columns_IN = inputs.reshape(-1, inputs.shape[-1]).T.contiguous()
        products_ON = self.weight @ columns_IN
        products = products_ON.T.reshape(*inputs.shape[:-1], -1)
        return products if self.bias is None else products + self.bias

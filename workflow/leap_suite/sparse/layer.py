"""Linear layer whose weight is packed as `leap_suite.sparse.container` describes.

Axes: N tokens, O outputs, I inputs.
"""

import torch
from torch import Tensor, nn

from leap_suite.sparse import cpu, gpu
from leap_suite.sparse.container import unpacked_matrix


class PackedLinear(nn.Module):
    """`nn.Linear` of a packed weight [O, I]: a few tokens by a kernel, more by the dense weight.

    The dense weight is made for one product and freed. So are all products where there is no
    kernel: for weights other than bfloat16, on other devices, or without a compiler.
    """

    def __init__(self, linear: nn.Linear, kept: int) -> None:
        super().__init__()
        rows, columns = linear.weight.shape
        self.in_features = columns
        self.out_features = rows
        words = -(-columns // 64)
        device, dtype = linear.weight.device, linear.weight.dtype
        self.mask = nn.Buffer(torch.empty(rows, 8 * words, dtype=torch.uint8, device=device))
        self.starts = nn.Buffer(torch.empty(rows, dtype=torch.int32, device=device))
        self.shape = nn.Buffer(torch.empty(2, dtype=torch.int64, device=device))
        values = torch.empty(kept, dtype=dtype, device=device)
        self.kept = nn.Parameter(values, requires_grad=False)
        self.bias = linear.bias

    def forward(self, inputs: Tensor) -> Tensor:
        tokens_NI = inputs.reshape(-1, self.in_features)
        products_NO = self._product(tokens_NI).view(*inputs.shape[:-1], self.out_features)
        return products_NO if self.bias is None else products_NO + self.bias

    def _product(self, tokens_NI: Tensor) -> Tensor:
        parts = self.mask, self.starts, self.kept
        if self.kept.dtype == torch.bfloat16 == tokens_NI.dtype:
            if tokens_NI.is_cuda and gpu.is_available():
                return gpu.linear(tokens_NI, *parts)
            if tokens_NI.device.type == "cpu" and cpu.instructions():
                return cpu.linear(tokens_NI, *parts)
        weight_OI = unpacked_matrix(self.mask, self.kept, self.in_features)
        return nn.functional.linear(tokens_NI, weight_OI)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}"

"""Linear layer with weights of 8 or 4 bits, by torch's own kernels for CPUs, for comparison.

Axes: N tokens, O outputs, I inputs, G groups of a row.
"""

import torch
from torch import Tensor, nn

from baselines.rounding import rounded

_MULTIPLE = 16  # of inputs for 8 bits and of outputs for 4, with other numbers torch errs


def can_hold(linear: nn.Linear, bits: int, group: int) -> bool:
    """Whether torch's kernels multiply a layer of this shape."""
    if bits == 8:
        return linear.in_features % _MULTIPLE == 0
    return linear.in_features % group == 0 and linear.out_features % _MULTIPLE == 0


class RoundedLinear(nn.Module):
    """`nn.Linear` whose weights `baselines.rounding` has rounded, for tokens in bfloat16.

    `bits` are 8 with a scale for each row, or 4 with one for each `group` of a row.
    """

    def __init__(self, linear: nn.Linear, bits: int, group: int) -> None:
        super().__init__()
        self.group = group
        steps_OGI, scale_OG1 = rounded(linear.weight.detach(), bits, group)
        steps_OI, scale_OG = steps_OGI.flatten(1), scale_OG1.squeeze(2)
        if bits == 8:
            self.steps = nn.Buffer(steps_OI.to(torch.int8))
            self.scale = nn.Buffer(scale_OG[:, 0].contiguous())
        else:
            from_zero = steps_OI.to(torch.int32) + 8
            self.steps = nn.Buffer(torch.ops.aten._convert_weight_to_int4pack_for_cpu(from_zero, 1))
            scale_GO = scale_OG.T
            self.scale = nn.Buffer(torch.stack([scale_GO, torch.zeros_like(scale_GO)], dim=-1))
        self.bias = linear.bias

    def forward(self, inputs: Tensor) -> Tensor:
        tokens_NI = inputs.reshape(-1, inputs.shape[-1])
        if self.steps.dtype == torch.int8:
            found_NO = torch.ops.aten._weight_int8pack_mm(tokens_NI, self.steps, self.scale)
        else:
            found_NO = torch.ops.aten._weight_int4pack_mm_for_cpu(
                tokens_NI, self.steps, self.group, self.scale
            )
        products = found_NO.view(*inputs.shape[:-1], -1)
        return products if self.bias is None else products + self.bias

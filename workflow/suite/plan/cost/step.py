"""How long a step of a training takes, estimated from operations and bytes, by execution.

Assumed is an A100 of 80 GB that reaches 125 TFLOP/s in bfloat16 (40 % of its peak), 1.6 TB/s
between its memory and its cores (80 %), and 150 GB/s to other GPUs of its machine over NVLink
(half of the peak one way). Then

- a parameter and token take 2 operations forward, 4 backward, and 2 more with checkpointing;
  attention over the sequence is left out;
- LEAP's gate runs once a micro-batch, whatever its size: for every prunable weight it moves 8 bytes
  forward and 12 backward in `leap.methods.leap.fused`, with weights in bfloat16, and 12 more to add the gradient
  to those of other micro-batches; forward twice with checkpointing. Its arithmetic and the
  optimiser's step are left out. Where weights are learned (ELSA), the bytes that it takes to cast
  them and to add their gradient up are taken for as many; projections are left out;
- with sharding each process has its rows of the gate, but once a micro-batch all masked weights are
  gathered in their dtype, twice with checkpointing, and their gradients scattered in float32;
  without it, several processes add up the gradients of logits once a step. Nothing of this runs
  beside the products.
"""

from math import ceil

from leap.execution import Execution
from suite.plan.cost.shapes import Sizes
from suite.plan.cost.training_memory import FUSED, Gate

BF16 = 125e12  # operations a second
MEMORY, LINK = 1.6e12, 150e9  # bytes a second
GATE_FORWARD, GATE_BACKWARD = 8, 12 + 12  # bytes a prunable weight and micro-batch
_FLOAT32, _BFLOAT16 = 4, 2


def step_seconds(
    sizes: Sizes,
    batch: int,
    length: int,
    execution: Execution,
    processes: int = 1,
    gate: Gate = FUSED,
) -> float:
    """Seconds of one step of `batch` sequences of `length` tokens, spread over the processes.

    `execution` has its micro-batch as a number. Another gate than LEAP's counts as many times as it
    has logits a weight.
    """
    forward = 2 if execution.checkpointing else 1
    drawn = forward + 1 if execution.recompute and gate.kept else forward
    rounds = ceil(batch / (execution.micro_batch * processes))
    tokens = execution.micro_batch * length
    products = (2 * forward + 4) * (sizes.prunable + sizes.other) * tokens / BF16
    gates = (GATE_FORWARD * drawn + GATE_BACKWARD) * max(1.0, gate.logits) * sizes.prunable / MEMORY
    others = (processes - 1) / processes
    if execution.sharding:
        sent = (_BFLOAT16 * forward + _FLOAT32) * sizes.prunable * others / LINK
        return rounds * (products + gates / processes + sent)
    added = 2 * _FLOAT32 * gate.logits * sizes.prunable * others / LINK
    return rounds * (products + gates) + added

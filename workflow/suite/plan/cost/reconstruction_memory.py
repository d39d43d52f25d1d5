"""How much memory reconstruction (`baselines.reconstruct`) needs on its device.

The model; hidden states of all calibration sequences, in the model's dtype; the block's dense
weights; and what tuning one sub-module takes: float32 weights with gradient and two moments, the
rounded weights and those that it began with, a byte a weight of the mask, two float32 numbers for
each weight of its largest matrix while Adam takes its step, and the activations of one step.

Hidden states are there for the dense and for the pruned model, as the sub-module's inputs, and as
targets of this sub-module and of those to come; with targets of the pruned model's inputs, without
those of the dense model and of sub-modules to come. As in `suite.plan.cost.layerwise_memory`, the
allocator's waste and CUDA's context are not counted.
"""

from dataclasses import dataclass

from suite.plan.cost.shapes import Shape

_FLOAT32 = 4


@dataclass(frozen=True)
class _Submodule:
    """Weights of all its matrices and of the largest; numbers a token that wait for the backward
    pass, and that come and go in it."""

    weights: int
    largest: int
    kept: int
    running: int


def _submodules(shape: Shape) -> list[_Submodule]:
    """Attention and the MLP, in order."""
    queries, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    attention = 2 * (queries + keys) * shape.hidden
    mlp = 3 * shape.hidden * shape.intermediate
    return [
        # q, k, v, the output; then their gradients
        _Submodule(attention, queries * shape.hidden, 2 * (queries + keys), 2 * (queries + keys)),
        # both factors, the gate before its activation, the product; then three gradients
        _Submodule(
            mlp,
            shape.intermediate * shape.hidden,
            4 * shape.intermediate,
            3 * shape.intermediate,
        ),
    ]


def work_bytes(
    shape: Shape, sequences: int, length: int, batch: int, inputs: str, weight_bytes: int = 2
) -> float:
    """All but the model itself, at the moment when it is most."""
    hidden = weight_bytes * sequences * length * shape.hidden
    parts = _submodules(shape)
    moments = []
    for index, part in enumerate(parts):
        states = 3 + len(parts) - index if inputs == "dense" else 3
        rounded = 0 if weight_bytes == _FLOAT32 else weight_bytes
        a_weight = 4 * _FLOAT32 + rounded + weight_bytes + 1
        tuned = a_weight * part.weights + 2 * _FLOAT32 * part.largest
        of_a_token = weight_bytes * (part.kept + part.running) + 3 * _FLOAT32 * shape.hidden
        moments.append(states * hidden + tuned + of_a_token * min(batch, sequences) * length)
    return weight_bytes * shape.block + max(moments)


def peak_bytes(
    shape: Shape, sequences: int, length: int, batch: int, inputs: str, weight_bytes: int = 2
) -> float:
    """Model and work, with `sequences` of `length` tokens of which a step has `batch`."""
    model = weight_bytes * (shape.prunable + shape.other)
    return model + work_bytes(shape, sequences, length, batch, inputs, weight_bytes)

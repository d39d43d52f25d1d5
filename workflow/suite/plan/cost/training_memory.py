"""How much memory LEAP's training needs on one GPU, by setting and number of GPUs.

    PYTHONPATH=workflow python -m suite.plan.cost.training_memory    # Markdown

What is counted is what `leap` itself holds, in the one moment when it holds most, with gradients
accumulated over several micro-batches: frozen weights, float32 logits, their gradients, AdamW's two
moments, masks, masked weights, and what one decoder block and one gate need for a while.

What is not counted: activations, which depend on the length of the sequences and not on LEAP (with
long ones, the float32 logits over the vocabulary are the largest: 4 bytes x tokens x vocabulary,
about three times over in the cross-entropy), the allocator's waste and CUDA's context; nor the
start of a sharded training, when each process has all weights and logits until they are split.

GB are 10^9 bytes. "A weight" is a prunable one: an entry of an `nn.Linear` in a decoder block.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from suite.plan.cost.shapes import MODELS, Shape

_FLOAT32 = 4
_CHUNK = 2**24  # elements a gate works on at a time on a GPU, see leap.relaxation


@dataclass(frozen=True)
class Memory:
    """Bytes on one GPU by what they are for, and the number of prunable weights of the model."""

    parts: Mapping[str, float]
    prunable: int

    @property
    def total(self) -> float:
        """Bytes on one GPU."""
        return sum(self.parts.values())

    @property
    def per_weight(self) -> dict[str, float]:
        """Bytes a prunable weight, by part."""
        return {name: size / self.prunable for name, size in self.parts.items()}


def training_memory(
    prunable: int,
    other: int,
    block: int,
    largest: int,
    *,
    weight_bytes: int = 2,
    recompute: bool = False,
    checkpointing: bool = False,
    sharding: bool = False,
    processes: int = 1,
    chunk: int = _CHUNK,
) -> Memory:
    """Memory on one of `processes` GPUs, from the numbers of weights in a model.

    `prunable` and `other` are the model's weights with and without logits, `block` the prunable
    ones of its largest decoder block, `largest` those of its largest matrix. `weight_bytes` is 2
    for bfloat16 and 4 for float32; logits and all that follows from them are float32. The three
    switches are those of `leap.Settings`.

    Without `checkpointing` the masked weights of all blocks, and their masks unless `recompute`,
    wait for the backward pass; with it, those of the one block that is being computed again.
    With `sharding` everything that lasts is split, and the embedding, the head, and the block at
    work are whole on every GPU, besides the next block, which arrives meanwhile. Without it, more
    GPUs share the work but not the memory.
    """
    waiting = block if checkpointing else prunable
    split = processes if sharding else 1
    parts = {
        "frozen weights": weight_bytes * (prunable + other) / split,
        "logits": _FLOAT32 * prunable / split,
        "gradients": _FLOAT32 * prunable / split,
        "two moments": 2 * _FLOAT32 * prunable / split,
        "masks": 0.0 if recompute else _FLOAT32 * waiting,
        "masked weights": weight_bytes * waiting,
        "one gate at work": _gate(largest, weight_bytes, chunk),
        "gathered": _gathered(block, other, weight_bytes) if split > 1 else 0.0,
    }
    return Memory(parts, prunable)


def _gate(largest: int, weight_bytes: int, chunk: int) -> float:
    """Backward pass of one matrix: two gradients, and three buffers as long as a chunk.

    The gradients are those of the masked weight and of the logits; the buffers are the mask drawn
    again, its random bits, and M (1 - M).
    """
    return (weight_bytes + _FLOAT32) * largest + 3 * _FLOAT32 * min(chunk, largest)


def _gathered(block: int, other: int, weight_bytes: int) -> float:
    """What FSDP2 puts together: weights and logits of two blocks, gradients of one, all else.

    The gradients are there twice, once as they were computed and once in line to be sent.
    """
    return 2 * (weight_bytes + _FLOAT32) * block + 2 * _FLOAT32 * block + weight_bytes * other


_SAVING = {"recompute": True, "checkpointing": True}
_GPUS = (2, 4, 8)


def table() -> str:
    """Markdown: GB on each GPU for the models of the paper with bfloat16 weights."""
    split = [f"+ sharding over {processes}" for processes in _GPUS]
    header = ["model", "default", "recompute + checkpointing", *split]
    lines = [header, ["---", *["---:"] * (len(header) - 1)]]
    for name, shape in MODELS.items():
        sizes = [_gigabytes(shape, 1), _gigabytes(shape, 1, **_SAVING)]
        sizes += [_gigabytes(shape, n, sharding=True, **_SAVING) for n in _GPUS]
        lines.append([name, *(f"{size:.1f}" for size in sizes)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _gigabytes(shape: Shape, processes: int, **switches: bool) -> float:
    counts = shape.prunable, shape.other, shape.block, shape.largest
    return training_memory(*counts, processes=processes, **switches).total / 1e9


if __name__ == "__main__":
    print(table())

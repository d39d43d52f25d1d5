"""How much memory a layer-wise method needs on its device, by method and model.

    PYTHONPATH=workflow python -m suite.plan.cost.layerwise_memory    # Markdown

Three parts: the model; the hidden states of all calibration sequences, once, in the model's dtype;
and the method's own work on one group of layers that share an input. Only the second grows with
the number of calibration sequences. Not counted: what one decoder block computes on one batch
(fewer sequences a batch make it smaller), masks (one byte a weight in the machine's memory), the
allocator's waste and CUDA's context, and what LAPACK or cuSOLVER need beside the matrices while
ALPS decomposes a Hessian (LAPACK: 16 bytes a number of it).

The table's last column is reconstruction, which has another formula, with steps of 8 sequences (see
`suite.plan.cost.reconstruction_memory`).

GB are 10^9 bytes. I is the number of inputs of a layer, O of its outputs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from suite.plan.cost import reconstruction_memory
from suite.plan.cost.shapes import MODELS, Shape

_FLOAT32 = 4


@dataclass(frozen=True)
class Work:
    """Float32 matrices a method holds at once, beside the Hessians that wait: numbers of them.

    hessians: [I, I] of one that is gathered. prepare: [I, I] while it factorises, beside that.
    keep: [I, I] that are left of it, beside the Hessian or in its place. prune: [O, I] while one
    layer is pruned, as much as copying on a CPU makes it.
    systems: numbers a row in the small systems of up to 1,024 rows that are solved together.
    """

    hessians: float = 0
    prepare: float = 0
    keep: float = 0
    prune: float = 0
    systems: float = 0


METHODS = {
    "random-mask": Work(prune=5.5),
    "magnitude": Work(prune=5.5),
    "wanda": Work(prune=5.5),
    "sparsegpt": Work(hessians=1, prepare=2, keep=1, prune=4.5),
    "thanos": Work(hessians=1, prepare=2, keep=1, prune=5.5, systems=3 * 128**2),
    "admm": Work(hessians=1, prepare=3, keep=1, prune=9),
    "alps": Work(hessians=2, prepare=2, keep=0, prune=12),  # in float64; in the Hessian's place
}


@dataclass(frozen=True)
class Layers:
    """Layers of a block that share an input of `inputs` features; `outputs` of the largest."""

    inputs: int
    outputs: int


def groups_of(shape: Shape) -> list[Layers]:
    """The groups of a decoder block in order: q k v, o, gate and up, down."""
    queries = shape.heads * shape.head_dim
    return [
        Layers(shape.hidden, queries),
        Layers(queries, shape.hidden),
        Layers(shape.hidden, shape.intermediate),
        Layers(shape.intermediate, shape.hidden),
    ]


def work_bytes(method: str, groups: Sequence[Layers]) -> float:
    """The most that the method itself holds while it prunes one block: an upper bound."""
    return max(_group_bytes(METHODS[method], groups[index:]) for index in range(len(groups)))


def _group_bytes(work: Work, waiting: Sequence[Layers]) -> float:
    """Pruning the first of these groups while the Hessians of all of them are there."""
    square, weights = waiting[0].inputs ** 2, waiting[0].inputs * waiting[0].outputs
    hessians = work.hessians * sum(group.inputs**2 for group in waiting)
    systems = work.systems * min(1024, waiting[0].outputs)
    prune = work.keep * square + work.prune * weights + systems
    return _FLOAT32 * (hessians + max(work.prepare * square, prune))


def peak_bytes(
    method: str, shape: Shape, sequences: int, length: int, weight_bytes: int = 2
) -> float:
    """Model, hidden states of `sequences` of `length` tokens, and the method's work."""
    model = weight_bytes * (shape.prunable + shape.other)
    hidden = weight_bytes * sequences * length * shape.hidden
    return model + hidden + work_bytes(method, groups_of(shape))


def table() -> str:
    """Markdown: GB for the models of the paper in bfloat16, with 128 sequences of 2,048 tokens."""
    header = ["model", *METHODS, "reconstruct"]
    lines = [header, ["---", *("---:" for _ in header[1:])]]
    for name, shape in MODELS.items():
        sizes = [peak_bytes(method, shape, 128, 2048) for method in METHODS]
        sizes.append(reconstruction_memory.peak_bytes(shape, 128, 2048, 8, "dense"))
        lines.append([name, *(f"{size / 1e9:.1f}" for size in sizes)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    print(table())

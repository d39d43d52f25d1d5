"""How much memory a training needs, on each GPU and on the host, by setting and GPUs.

    PYTHONPATH=.:workflow python -m suite.plan.cost.training_memory    # Markdown

Counted is what holds most in the moment when most is held, with gradients accumulated over several
micro-batches. In every moment there are frozen weights, float32 logits, their gradients and AdamW's
two moments, or where weights are learned (ELSA) these in place of logits, with their sparse copies
and duals, 24 bytes a weight; besides these

- while the loss is computed, masked weights and activations of all blocks, and a chunk of logits
  over the vocabulary (`leap.model.loss`);
- early in the backward pass, the same without the loss, but one gate at work and the gradients that
  run through a block. With checkpointing masked weights and activations are those of one block, and
  the inputs of all;
- before a sharded training, the whole model in its own dtype, on each GPU.

Activations are what the decoders of transformers (Llama, Qwen2, Gemma 3) keep for the backward
pass, whose attention keeps no scores (torch's fused kernels). A block of another family is taken
for one of these.

Not counted: the allocator's waste and CUDA's context, for which `suite.plan.cost.execution` leaves
a tenth of a GPU free, rows that fill up the last process' share, and on the host Python, its
libraries and the pages of mapped files, which the system takes back when it needs them.

GB are 10^9 bytes. "A weight" is a prunable one: an entry of an `nn.Linear` in a decoder block.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import comb
from typing import Any

from leap.execution import Execution
from suite.plan.cost.shapes import MODELS, Shape, Sizes

_FLOAT32 = 4
_LOSS_CHUNK = 2**26  # floats, see leap.model.head


@dataclass(frozen=True)
class Gate:
    """What a gate holds, in float32 numbers a weight.

    logits: that are learned. kept: for the backward pass, unless `recompute`. fixed: bytes a weight
    of given masks. chunk, buffers: weights that it works on at a time, and numbers for each.
    held: besides what is learned. frozen: whether weights stay beside what is learned; where they
    do not, they are learned themselves.
    """

    logits: float = 1.0
    kept: float = 0.0
    fixed: float = 0.0
    chunk: int = 0
    buffers: int = 0
    held: float = 0.0
    frozen: bool = True


FUSED = Gate()  # LEAP on a GPU, which draws its masks again (leap.methods.leap.fused)
WEIGHTS = Gate(
    held=2.0, frozen=False
)  # ELSA: no gate, but sparse copies and duals (leap.methods.elsa)
CHUNKED = Gate(kept=1.0, chunk=2**17, buffers=3)  # LEAP on a CPU (leap.methods.leap.gate)
_CHUNK, _BUFFERS = 2**24, 8  # an upper bound of those of MaskLLM and PATCH on a GPU


def gate_of(implementation: str, chosen: Mapping[str, Any]) -> Gate:
    """The gate of a method with these settings on a GPU. A tile's single logit is left out.

    Of a method that is not known here it is LEAP's, so that what is chosen may be too large.
    """
    if implementation == "elsa":
        return WEIGHTS
    if implementation not in ("maskllm", "patch"):
        return FUSED
    n, m = (int(number) for number in chosen["pattern"].split(":"))
    patterns = comb(m, n) / m
    if implementation == "patch" and chosen["mode"] == "tile":
        return Gate(0.0, 0.0, 1.0, _CHUNK, _BUFFERS)
    return Gate(patterns, patterns, 0.0, _CHUNK, _BUFFERS)


@dataclass(frozen=True)
class Memory:
    """Bytes in one place by what they are for."""

    parts: Mapping[str, float]

    @property
    def total(self) -> float:
        """All bytes."""
        return sum(self.parts.values())


def training_memory(
    sizes: Sizes,
    sequences: int,
    length: int,
    execution: Execution,
    *,
    processes: int = 1,
    weight_bytes: int = 2,
    gate: Gate = FUSED,
) -> Memory:
    """Memory on one of `processes` GPUs, with micro-batches of `sequences` of `length` tokens.

    `weight_bytes` is 2 for bfloat16 and 4 for float32; logits and all that follows from them are
    float32. With sharding the prunable weights and what belongs to them are split, all others whole
    on every GPU; without it, more GPUs share the work but not the memory. `gate` is what runs
    there: on a CPU, where the formula is tested, another one than on a GPU.
    """
    if execution.sharding and processes > 1:
        split, starts = processes, [_start(sizes, weight_bytes)]
    else:
        split, starts = 1, []
    lasting = _lasting(sizes, split, weight_bytes, gate)
    moments = [_loss(sizes, sequences, length, execution, split, weight_bytes, gate)]
    moments += [_backward(sizes, sequences, length, execution, split, weight_bytes, gate)]
    everything = [Memory({**lasting, **moment}) for moment in moments] + starts
    return max(everything, key=lambda memory: memory.total)


def _lasting(sizes: Sizes, split: int, weight_bytes: int, gate: Gate) -> dict[str, float]:
    """What is there from the first step to the last."""
    own = sizes.prunable / split
    frozen = weight_bytes * ((own if gate.frozen else 0) + sizes.other)
    logits = _FLOAT32 * gate.logits * own
    return {
        "frozen weights": frozen + gate.fixed * own,
        "logits" if gate.frozen else "learned weights": logits,
        "gradients": logits,
        "two moments": 2 * logits,
        "sparse copies and duals": _FLOAT32 * gate.held * own,
    }


def _start(sizes: Sizes, weight_bytes: int) -> Memory:
    """The whole model, and a float32 copy of its head or largest matrix."""
    copy = _FLOAT32 * max(sizes.largest, sizes.vocabulary * sizes.hidden)
    model = weight_bytes * (sizes.prunable + sizes.other)
    return Memory({"frozen weights": model, "at work": copy})


def _loss(
    sizes: Sizes,
    sequences: int,
    length: int,
    execution: Execution,
    split: int,
    weight_bytes: int,
    gate: Gate,
) -> dict[str, float]:
    """While `leap.model.loss` computes the gradient of the last hidden states, chunk by chunk.

    Those are there four times: as the last norm's input, in float32, as its output, as a leaf, and
    as their gradient. Of a chunk there are its likelihoods, their gradient, and that of the logits;
    and of the head there is a copy in float32, if it is not in that.
    """
    tokens = sequences * length
    waiting = 0 if execution.checkpointing else sizes.prunable
    chunk = min(tokens, max(1, _LOSS_CHUNK // sizes.vocabulary))
    last = (_FLOAT32 + 2 * weight_bytes) * sizes.hidden * tokens
    logits = 3 * _FLOAT32 * sizes.vocabulary * chunk + 2 * _FLOAT32 * sizes.hidden * chunk
    copy = _FLOAT32 * sizes.vocabulary * sizes.hidden if weight_bytes != _FLOAT32 else 0
    return {
        "masks": _kept(gate, execution) * waiting,
        "masked weights": _used(gate, split, weight_bytes) * waiting,
        "activations": _activations(sizes, sequences, length, execution, weight_bytes),
        "at work": last + logits + copy,
    }


def _backward(
    sizes: Sizes,
    sequences: int,
    length: int,
    execution: Execution,
    split: int,
    weight_bytes: int,
    gate: Gate,
) -> dict[str, float]:
    """The largest matrix of the last block, with the gradients of its inputs and outputs."""
    tokens = sequences * length
    waiting = sizes.block if execution.checkpointing else sizes.prunable
    activations = _activations(sizes, sequences, length, execution, weight_bytes)
    if execution.checkpointing:
        activations += _of_a_block(sizes, length, weight_bytes) * tokens
    running = weight_bytes * (sizes.hidden + sizes.intermediate) * tokens
    return {
        "masks": _kept(gate, execution) * waiting,
        "masked weights": _used(gate, split, weight_bytes) * waiting,
        "activations": activations,
        "at work": running + _gate(sizes.largest, split, weight_bytes, gate),
    }


def _kept(gate: Gate, execution: Execution) -> float:
    """Bytes a weight that wait for the backward pass of its gate."""
    return 0.0 if execution.recompute else _FLOAT32 * gate.kept


def _used(gate: Gate, split: int, weight_bytes: int) -> int:
    """Bytes a weight that a product takes and that are made for it: learned ones in their dtype.

    None where learned weights are all here in float32 and the model computes in that.
    """
    as_they_are = not gate.frozen and split == 1 and weight_bytes == _FLOAT32
    return 0 if as_they_are else weight_bytes


def _gate(largest: int, split: int, weight_bytes: int, gate: Gate) -> float:
    """Gradients of one matrix: of the masked weight, and of the logits.

    Split ones are added up over the processes, in float32, and each keeps its rows.
    """
    gradients = weight_bytes + _FLOAT32 * gate.logits / split
    sums = _FLOAT32 * (1 + 1 / split) if split > 1 else 0
    return (gradients + sums) * largest + _FLOAT32 * gate.buffers * min(gate.chunk, largest)


def _activations(
    sizes: Sizes, sequences: int, length: int, execution: Execution, weight_bytes: int
) -> float:
    """What waits for the backward pass of all blocks: with checkpointing, their inputs."""
    if execution.checkpointing:
        return weight_bytes * sizes.layers * sizes.hidden * sequences * length
    a_token = sizes.layers * _of_a_block(sizes, length, weight_bytes)
    return a_token * sequences * length


def _of_a_block(sizes: Sizes, length: int, weight_bytes: int) -> float:
    """Bytes a token that a decoder block keeps, on average over all of them.

    A norm keeps its input in float32 and the factor of each vector. The linear layers keep their
    inputs, of which one serves q, k and v, and another gate and up. Attention keeps q, k, v, its
    output, which is o's input, and a number a head. The MLP keeps both factors, the gate before
    its activation, and their product, which is down's input.
    """
    queries, keys = sizes.heads * sizes.head_dim, sizes.kv_heads * sizes.head_dim
    norms = sizes.block_norms * (sizes.hidden + 1)
    if sizes.head_norms:
        norms += queries + keys + sizes.heads + sizes.kv_heads
    kept: float = 2 * sizes.hidden + 2 * queries + 2 * keys + 4 * sizes.intermediate
    if 0 < sizes.window < length:  # a mask takes a row a token, and has keys repeated for each head
        kept += sizes.windowed / sizes.layers * (length + 2 * (queries - keys))
    return _FLOAT32 * (norms + sizes.heads) + weight_bytes * kept


def host_memory(
    sizes: Sizes,
    execution: Execution,
    *,
    rank: int = 0,
    processes: int = 1,
    weight_bytes: int = 2,
    priors: int = 1,
    gate: Gate = FUSED,
) -> Memory:
    """The machine's own memory that one process of a training on GPUs needs.

    Packed masks of a bit a weight are there all the time, `priors` of them. Besides these one of
    the following is, whichever is largest: the largest matrix, on its way to the GPU; the first
    logits of a decoder block, and what it takes to make those of one matrix; the state on its way
    to the disk, which is written by the first process, or with sharding by each its share; and in
    the first process the logits of the whole model, or its learned weights with their masks.
    """
    split = processes if execution.sharding else 1
    logits = _FLOAT32 * gate.logits
    state = 3 * logits + _FLOAT32 * gate.held
    result = logits if gate.frozen else weight_bytes + 1
    moments = {
        "a matrix of the model": weight_bytes * max(
            sizes.largest, sizes.vocabulary * sizes.hidden
        ),
        "first logits": (
            (logits + 1) * sizes.block + 2 * logits * sizes.largest if gate.frozen else 0.0
        ),
        "state": state * sizes.prunable / split if rank == 0 or split > 1 else 0.0,
        "result": result * sizes.prunable if rank == 0 else 0.0,
    }  # fmt: skip
    most = max(moments, key=lambda name: moments[name])
    return Memory({"masks": priors * sizes.prunable / 8, most: moments[most]})


_GPUS = (2, 4, 8)
_LENGTH = 4096


def table() -> str:
    """Markdown: GB on each GPU for the models of the paper with bfloat16 weights."""
    saving = Execution(checkpointing=True)
    split = Execution(checkpointing=True, sharding=True)
    ways = [(Execution(), 1), (saving, 1), *((split, processes) for processes in _GPUS)]
    header = ["model", "nothing saved", "checkpointing"]
    header += [f"+ sharding over {processes}" for processes in _GPUS]
    lines = [header, ["---", *["---:"] * (len(header) - 1)]]
    for name, shape in MODELS.items():
        sizes = [_gigabytes(shape, way, processes) for way, processes in ways]
        lines.append([name, *(f"{size:.1f}" for size in sizes)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _gigabytes(shape: Shape, execution: Execution, processes: int) -> float:
    memory = training_memory(shape.sizes, 1, _LENGTH, execution, processes=processes)
    return memory.total / 1e9


if __name__ == "__main__":
    print(table())

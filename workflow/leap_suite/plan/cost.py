"""Estimated GPU-hours, memory and disk of the paper's models, before a GPU is asked for.

    PYTHONPATH=.:workflow python -m leap_suite.plan.cost [SCALE] [GB]    # Markdown

SCALE is `paper` and a GPU has 80 GB unless given. These are estimates from operations and bytes,
not measurements; a training measures what fits, and its report says so. Assumed:

- an A100 with 125 TFLOP/s in bfloat16 (40 % of its peak), 1.6 TB/s of memory bandwidth (80 %) and
  150 GB/s to other GPUs of its machine;
- six operations per parameter and token, eight with checkpointing; attention scores are left out;
- once per draw of the masks, LEAP's gate moves 32 bytes per prunable weight; on several GPUs its
  state is sharded, masked weights are gathered in bfloat16 and gradients scattered in float32;
- an evaluation reads 10 million tokens, nearly all of them MMLU's. Layer-wise pruning takes
  minutes, which are left out;
- memory is that of bfloat16 weights and a micro-batch of one sequence. A tenth of each GPU stays
  free for CUDA's context and the allocator.

GB are 10^9 bytes. A prunable weight is an entry of an `nn.Linear` in a decoder block.
"""

import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from leap_suite.plan.config import load
from leap_suite.plan.grid import cells
from leap_suite.plan.methods import methods_that_are

BF16 = 125e12  # operations per second
MEMORY, LINK = 1.6e12, 150e9  # bytes per second
EVALUATION_TOKENS = 10e6
# bytes per prunable weight that last for a whole training, by method; LEAP's of other masks
LASTING = {"elsa": 24, "finetune": 17, "gmp": 17}
LEAP, DISTILLED = 18, 2  # and of the dense weights in bfloat16, for `distil`
_GATE = 32  # bytes moved per prunable weight and draw, forward and backward
_LOSS_CHUNK = 3 * 4 * 2**26  # bytes: likelihoods of a chunk and two gradients, see leap.model.head
_USABLE = 0.9


@dataclass(frozen=True)
class Shape:
    """The sizes in a model's public config; `tied`: the output layer is the embedding."""

    hidden: int
    layers: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool = True

    @property
    def block(self) -> int:
        """Prunable weights of a decoder block: q, o, k, v, and gate, up, down."""
        attention = 2 * (self.heads + self.kv_heads) * self.head_dim * self.hidden
        return attention + 3 * self.hidden * self.intermediate

    @property
    def prunable(self) -> int:
        """All prunable weights."""
        return self.layers * self.block

    @property
    def other(self) -> int:
        """Embedding and output layer; norms and biases are left out."""
        return (1 if self.tied else 2) * self.vocabulary * self.hidden

    @property
    def token_bytes(self) -> int:
        """Activations of a decoder block for one token: inputs of norms in float32, and those of
        linear layers, attention and MLP in bfloat16."""
        attention = 2 * (self.heads + self.kv_heads) * self.head_dim
        return 4 * 2 * self.hidden + 2 * (2 * self.hidden + attention + 4 * self.intermediate)


# By the names of the scales; from the models' config.json on the Hugging Face hub.
MODELS: Mapping[str, Shape] = {
    "qwen-2.5-0.5b": Shape(896, 24, 4864, 14, 2, 64, 151936),
    "gemma-3-1b": Shape(1152, 26, 6912, 4, 1, 256, 262144),
    "llama-3.2-1b": Shape(2048, 16, 8192, 32, 8, 64, 128256),
    "llama-3.2-3b": Shape(3072, 28, 8192, 24, 8, 128, 128256),
    "llama-3.1-8b": Shape(4096, 32, 14336, 32, 8, 128, 128256, tied=False),
}


def training_bytes(
    shape: Shape, length: int, gpus: int = 1, checkpointing: bool = False, learned: int = LEAP
) -> float:
    """Bytes on each of `gpus` that share the state of one training; `learned`: per weight."""
    lasting = learned * shape.prunable / gpus + 2 * shape.other
    loss = 4 * shape.vocabulary * shape.hidden + _LOSS_CHUNK
    block = 2 * shape.block + shape.token_bytes * length
    inputs = 2 * shape.hidden * length
    kept = block + shape.layers * inputs if checkpointing else shape.layers * block
    return lasting + loss + kept


def training_hours(
    shape: Shape, values: Mapping[str, Any], length: int, gpus: int = 1, checkpointing: bool = False
) -> float:
    """GPU-hours of a training with the settings `values` of its method."""
    sequences = values["steps"] * values["batch"]
    draws = sequences / values.get("sequences_per_draw", values["batch"])
    # operations per parameter and token, and bytes sent per prunable weight and draw
    operations = sent = 8 if checkpointing else 6
    products = operations * (shape.prunable + shape.other) * sequences * length / BF16
    gates = _GATE * shape.prunable * draws / MEMORY
    waiting = sent * shape.prunable * draws * (gpus - 1) / LINK
    return (products + gates + waiting) / 3600


def evaluation_hours(shape: Shape) -> float:
    """GPU-hours of evaluating one checkpoint."""
    return 2 * (shape.prunable + shape.other) * EVALUATION_TOKENS / BF16 / 3600


def trained(
    shape: Shape, method: str, settings: Mapping[str, Any], gpu_bytes: float
) -> tuple[float, float]:
    """GPU-hours of a trained method's cell and bytes on each GPU, checkpointing where needed."""
    length, gpus = settings["corpora"]["training"]["length"], settings["resources"]["train"]["gpu"]
    learned = LASTING.get(settings["implementations"][method], LEAP)
    learned += DISTILLED * (settings["methods"][method].get("distil", 0) > 0)
    saves = training_bytes(shape, length, gpus, learned=learned) > _USABLE * gpu_bytes
    hours = training_hours(shape, settings["methods"][method], length, gpus, saves)
    return hours, training_bytes(shape, length, gpus, saves, learned)


def grid_hours(settings: Mapping[str, Any], gpu_bytes: float) -> float:
    """GPU-hours of all trainings and evaluations of a grid of `MODELS`, dense models included."""
    learned, hours = methods_that_are("trained", settings), 0.0
    for (model, method), number in Counter((c.model, c.method) for c in cells(settings)).items():
        each = evaluation_hours(MODELS[model])
        if method in learned:
            each += trained(MODELS[model], method, settings, gpu_bytes)[0]
        hours += number * each
    return hours


def table(settings: Mapping[str, Any], gpu_bytes: float) -> str:
    """Markdown: the cost of one cell of each model. Raises ValueError for an unknown model."""
    models = settings["grid"]["models"]
    if unknown := [name for name in models if name not in MODELS]:
        raise ValueError(f"leap_suite.plan.cost.MODELS lacks {', '.join(unknown)}: add their sizes")
    header = ["model", "LEAP: GPU-hours", f"GB on each of {settings['resources']['train']['gpu']}"]
    header += ["evaluation: GPU-hours", "GB on disk: a mask", "changed weights"]
    lines = []
    for name in models:
        shape = MODELS[name]
        hours, size = trained(shape, "leap", settings, gpu_bytes)
        disk = [f"{shape.prunable * each / 1e9:.1f}" for each in (1 / 8, 2)]
        lines.append([name, f"{hours:.2g}" if hours < 10 else f"{hours:.0f}", f"{size / 1e9:.0f}"])
        lines[-1] += [f"{evaluation_hours(shape):.2g}", *disk]
    total = f"The whole grid: {grid_hours(settings, gpu_bytes):,.0f} GPU-hours."
    return f"{_markdown(header, lines)}\n\n{total}"


def memory_table(length: int = 4096) -> str:
    """GB on each GPU for a training of LEAP, as Markdown."""
    ways = [(1, False), (1, True), (2, True), (4, True), (8, True)]
    header = ["model", "nothing saved", "checkpointing"]
    header += [f"+ sharding over {gpus}" for gpus, _ in ways[2:]]
    lines = []
    for name, shape in MODELS.items():
        sizes = [training_bytes(shape, length, *way) / 1e9 for way in ways]
        lines.append([name, *(f"{size:.1f}" for size in sizes)])
    return _markdown(header, lines)


def _markdown(header: list[str], lines: list[list[str]]) -> str:
    ruled = [header, ["---", *["---:"] * (len(header) - 1)], *lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in ruled)


if __name__ == "__main__":
    scale, gigabytes = [*sys.argv[1:], *("paper", "80")[len(sys.argv) - 1 :]]
    try:
        print(table(load({"scale": scale, "hub_mirror": ""}), float(gigabytes) * 1e9))
    except ValueError as error:
        sys.exit(str(error))
    print(f"\n{memory_table()}")

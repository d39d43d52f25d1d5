"""What a grid of the paper's models costs, before a GPU is asked for: hours, memory and disk.

    PYTHONPATH=.:workflow python -m suite.plan.cost.estimate [SCALE] [GB]    # Markdown

SCALE is `paper` if it is not given, and a GPU has 80 GB. An estimate from operations and bytes, not
a measurement. Assumed:

- an A100 as `suite.plan.cost.step` has it, and of float32 10 TFLOP/s; that module also says what
  a step of LEAP costs, and `suite.plan.cost.execution` in which way it is computed where GPUs have
  so much memory;
- a layer-wise pass runs every block twice (statistics, then outputs); the upper triangle of a
  Hessian in four panels costs 5/8 of the whole product; factorising costs I^3; ADMM multiplies
  each weight matrix with an inverse in each of its iterations; all that is float32;
- ALPS multiplies each weight matrix with two in each of its iterations, some 35 of them as on the
  miniatures, and in each step of conjugate gradients; decomposing costs 9 I^3, at a tenth of the
  float32 speed; its float64 is as fast as float32, which holds for an A100 and an H200, where many
  other cards are 32 or 64 times slower in it;
- reconstruction passes a block forwards five times (its dense outputs; as far as each of its two
  sub-modules, which is once in all at most; both errors; its outputs) and each sub-module forwards
  and backwards in every epoch; the method whose masks it keeps is a cell of its own;
- Thanos' small systems cost O I block^2 / 3, at a tenth of the float32 speed;
- an evaluation reads 10 million tokens, nearly all of them MMLU's.

Disk is what a finished cell keeps: mask, changed weights, and what `keep` says of the rest.
"""

import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from suite.plan.calibration import size_of
from suite.plan.cell import DENSE
from suite.plan.config import load
from suite.plan.cost import reconstruction_memory
from suite.plan.cost.execution import Training, choose, together
from suite.plan.cost.layerwise_memory import Layers, groups_of, peak_bytes
from suite.plan.cost.shapes import MODELS, Shape
from suite.plan.cost.step import BF16
from suite.plan.cost.training_memory import gate_of
from suite.plan.grid import cells
from suite.plan.methods import mask_learners, weight_learners

FLOAT32 = 10e12  # operations a second
GPU_BYTES = 80e9
EVALUATION_TOKENS = 10e6
ALPS_ITERATIONS = 35
_SECONDS_AN_HOUR = 3600.0


@dataclass(frozen=True)
class Cost:
    """Of pruning one model with one method at one sparsity."""

    gpu_hours: float
    gpus: int
    gigabytes_a_gpu: float
    disk_gigabytes: float


def estimate(
    shape: Shape, method: str, settings: Mapping[str, Any], gpu_bytes: float = GPU_BYTES
) -> Cost:
    """The cost of `method`, learned or layer-wise, with the settings of a scale.

    See `suite.plan.config.load` for these. Raises ValueError for a training that does not fit on
    its number of GPUs of `gpu_bytes` each.
    """
    parameters = shape.prunable + shape.other
    disk = shape.prunable / 8 + (2 * parameters if settings["keep"]["checkpoints"] else 0)
    implementation = settings["implementations"][method]
    if method in mask_learners(settings):
        logits = gate_of(implementation, settings["methods"][method]).logits * shape.prunable
        disk += 4 * logits if settings["keep"]["logits"] else 0
        return _training(shape, method, settings, gpu_bytes, disk)
    if method in weight_learners(settings):
        return _training(shape, method, settings, gpu_bytes, disk + 2 * shape.prunable)
    tokens = size_of(settings["methods"][method], settings["corpora"])
    if implementation == "reconstruct":
        chosen = settings["methods"][method]
        memory_bytes = reconstruction_memory.peak_bytes(
            shape, *tokens, chosen["batch"], chosen["inputs"]
        )
    else:
        memory_bytes = peak_bytes(implementation, shape, *tokens)
    hours = _layer_wise_seconds(shape, method, settings) / _SECONDS_AN_HOUR
    disk += 0 if implementation in ("random-mask", "magnitude", "wanda") else 2 * shape.prunable
    return Cost(hours, 1, memory_bytes / 1e9, disk / 1e9)


def evaluation_hours(shape: Shape) -> float:
    """GPU-hours of evaluating one checkpoint."""
    operations = 2 * (shape.prunable + shape.other) * EVALUATION_TOKENS
    return operations / BF16 / _SECONDS_AN_HOUR


def _training(
    shape: Shape, method: str, settings: Mapping[str, Any], gpu_bytes: float, disk: float
) -> Cost:
    """Of a method that is trained, computed in the cheapest way that fits."""
    chosen, gpus = settings["methods"][method], settings["resources"]["train"]["gpu"]
    length = settings["corpora"]["training"]["length"]
    gate = gate_of(settings["implementations"][method], chosen)
    training = Training(shape.sizes, chosen["batch"], together(chosen), length, gate=gate)
    way = choose(training, gpus, gpu_bytes, {})
    hours = chosen["steps"] * training.seconds(way, gpus) * gpus / _SECONDS_AN_HOUR
    return Cost(hours, gpus, training.memory(way, gpus) / 1e9, disk / 1e9)


def _layer_wise_seconds(shape: Shape, method: str, settings: Mapping[str, Any]) -> float:
    implementation, chosen = settings["implementations"][method], settings["methods"][method]
    if implementation in ("random-mask", "magnitude"):
        return 0.0
    sequences, length = size_of(chosen, settings["corpora"])
    tokens = sequences * length
    seconds = 2 * 2 * shape.prunable * tokens / BF16
    if implementation == "reconstruct":
        return (5 + 3 * chosen["epochs"]) / 2 * seconds
    if implementation == "wanda":
        return seconds
    groups = groups_of(shape)
    of_a_block = sum(_second_order(group, implementation, chosen, tokens) for group in groups)
    return seconds + shape.layers * of_a_block


def _second_order(group: Layers, method: str, chosen: Mapping[str, Any], tokens: int) -> float:
    """Seconds of one group of layers; its largest layer stands for each of its layers."""
    square = group.inputs**2
    products = 2 * 5 / 8 * square * tokens + square * group.inputs
    update = 2 * group.outputs * square
    if method == "admm":
        return (products + chosen["iterations"] * update) / FLOAT32
    if method == "alps":
        times = 2 * (min(chosen["iterations"], ALPS_ITERATIONS) + chosen["steps"] + 1)
        return (products + times * update) / FLOAT32 + 9 * square * group.inputs / (FLOAT32 / 10)
    if method == "thanos":
        systems = group.outputs * group.inputs * chosen["block"] ** 2 / 3
        return (products + update) / FLOAT32 + systems / (FLOAT32 / 10)
    return (products + update) / FLOAT32


def table(settings: Mapping[str, Any], gpu_bytes: float = GPU_BYTES) -> str:
    """Markdown: one sparsity of each of the grid's models, with LEAP and the dearest baseline."""
    gpus = settings["resources"]["train"]["gpu"]
    size = f"GB on each of {gpus}" if gpus > 1 else "GB"
    header = ["model", "LEAP: GPU-hours", size, "ADMM: GPU-hours", "GB",
              "evaluation: GPU-hours", "GB on disk: LEAP", "ADMM"]  # fmt: skip
    lines = [header, ["---", *["---:"] * (len(header) - 1)]]
    for name, shape in _shapes(settings).items():
        leap, admm = (estimate(shape, method, settings, gpu_bytes) for method in ("leap", "admm"))
        numbers = [_hours(leap.gpu_hours), f"{leap.gigabytes_a_gpu:.0f}"]
        numbers += [_hours(admm.gpu_hours), f"{admm.gigabytes_a_gpu:.0f}"]
        numbers += [_hours(evaluation_hours(shape))]
        numbers += [f"{leap.disk_gigabytes:.1f}", f"{admm.disk_gigabytes:.1f}"]
        lines.append([name, *numbers])
    total = grid_hours(settings, gpu_bytes)
    return "\n".join(
        [
            *(f"| {' | '.join(line)} |" for line in lines),
            "",
            f"The whole grid: {total:,.0f} GPU-hours.",
        ]
    )


def grid_hours(settings: Mapping[str, Any], gpu_bytes: float = GPU_BYTES) -> float:
    """GPU-hours of every cell: pruned, trained and evaluated, dense models included."""
    shapes, hours = _shapes(settings), 0.0
    alike = Counter((cell.model, cell.method) for cell in cells(settings))
    for (model, method), number in alike.items():
        each = evaluation_hours(shapes[model])
        if method != DENSE:
            each += estimate(shapes[model], method, settings, gpu_bytes).gpu_hours
        hours += number * each
    return hours


def _shapes(settings: Mapping[str, Any]) -> dict[str, Shape]:
    """The shapes of the grid's models. Raises ValueError for a model that has none."""
    names = settings["grid"]["models"]
    unknown = [name for name in names if name not in MODELS]
    if unknown:
        raise ValueError(f"no shape in suite.plan.cost.shapes of {', '.join(unknown)}")
    return {name: MODELS[name] for name in names}


def _hours(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}" if value >= 0.01 else "< 0.01"


if __name__ == "__main__":
    scale, gigabytes = [*sys.argv[1:], *("paper", "80")[len(sys.argv) - 1 :]]
    try:
        print(table(load({"scale": scale, "hub_mirror": ""}), float(gigabytes) * 1e9))
    except ValueError as error:
        sys.exit(str(error))

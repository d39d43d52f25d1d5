"""The cheapest way to compute a training that fits into the memory of its GPUs.

Memory is that of `suite.plan.cost.training_memory`, time that of `suite.plan.cost.step`. All ways
are tried, so more memory never makes a choice slower. By these formulas small micro-batches cost
little where sequences are long, sharding over a fast link less than checkpointing, which takes a
third more time; where all fit, nothing is saved.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from math import ceil
from typing import Any

from leap.execution import Execution
from suite.plan.cost.shapes import Sizes
from suite.plan.cost.step import step_seconds
from suite.plan.cost.training_memory import FUSED, Gate, training_memory

AUTO = "auto"
USABLE = 0.9  # of a GPU: the rest is for CUDA's context and the allocator's waste
MOST_GPUS = 64
TOGETHER = "sequences_per_draw, or batch where no masks are drawn"


@dataclass(frozen=True)
class Training:
    """What a choice depends on: model, settings, text, and the weights' bytes and gate.

    together: sequences of a batch that may go through the model together, see `together`.
    """

    sizes: Sizes
    batch: int
    together: int
    length: int
    weight_bytes: int = 2
    gate: Gate = FUSED

    def memory(self, execution: Execution, processes: int) -> float:
        """Bytes on each GPU."""
        return training_memory(
            self.sizes, execution.micro_batch, self.length, execution,
            processes=processes, weight_bytes=self.weight_bytes, gate=self.gate,
        ).total  # fmt: skip

    def seconds(self, execution: Execution, processes: int) -> float:
        """Of a step."""
        return step_seconds(
            self.sizes, self.batch, self.length, execution, processes, gate=self.gate
        )


def together(values: Mapping[str, Any]) -> int:
    """Sequences of a batch that may go through the model together, by a method's settings.

    Those that share a draw of the masks; all, where no masks are drawn.
    """
    return int(values.get("sequences_per_draw", values["batch"]))


def choose(
    training: Training, processes: int, gpu_bytes: float | None, wanted: Mapping[str, Any]
) -> Execution:
    """The cheapest execution on `processes` GPUs of `gpu_bytes` each; None is a CPU.

    `wanted` has fields of `Execution`: what is not "auto" is taken as it is, and on a CPU all else
    as `Execution` has it. Raises ValueError where nothing fits, which says what is needed and how
    many such GPUs would do, and where a micro-batch does not divide the sequences that go together.
    """
    fixed = {name: value for name, value in wanted.items() if value != AUTO}
    if gpu_bytes is None:
        return Execution(**fixed)
    fitting = _fitting(training, processes, gpu_bytes, fixed)
    if not fitting:
        raise ValueError(_refusal(training, processes, gpu_bytes, fixed))
    return min(fitting, key=lambda way: training.seconds(way, processes))


def _fitting(
    training: Training, processes: int, gpu_bytes: float, fixed: Mapping[str, Any]
) -> list[Execution]:
    """The ways that fit, those that save least first."""
    ways = _ways(training, processes, fixed)
    return [way for way in ways if training.memory(way, processes) <= USABLE * gpu_bytes]


def _ways(training: Training, processes: int, fixed: Mapping[str, Any]) -> list[Execution]:
    """All ways that the settings allow, those that save least first."""
    most = training.together
    options: dict[str, list[Any]] = {
        "sharding": [False, True] if processes > 1 else [False],
        "checkpointing": [False, True],
        "recompute": [False, True] if training.gate.kept else [False],
        "micro_batch": [size for size in range(most, 0, -1) if most % size == 0],
    }
    options |= {name: [value] for name, value in fixed.items()}
    combined = (dict(zip(options, values, strict=True)) for values in product(*options.values()))
    ways = [_counted(Execution(**values), most, processes) for values in combined]
    return [
        way
        for way in ways
        if most % (way.micro_batch * _sharers(way, processes)) == 0
        and training.batch // way.micro_batch % processes == 0
    ]


def _counted(way: Execution, most: int, processes: int) -> Execution:
    """With the micro-batch that a 0 stands for."""
    return replace(way, micro_batch=way.micro_batch or max(1, most // _sharers(way, processes)))


def _sharers(way: Execution, processes: int) -> int:
    """Processes that compute one draw together."""
    return processes if way.sharding else 1


def _refusal(training: Training, processes: int, gpu_bytes: float, fixed: Mapping[str, Any]) -> str:
    sequences = f"{TOGETHER} ({training.together})"
    needs = [training.memory(way, processes) for way in _ways(training, processes, fixed)]
    if needs:
        least = ceil(min(needs) / USABLE / 1e8) / 10
        problem = (
            f"the training needs {least:.1f} GB on each of {processes} GPU(s), but they have "
            f"{gpu_bytes / 1e9:.1f} GB, of which {1 - USABLE:.0%} are left free"
        )
    else:
        problem = (
            f"{sequences} must be a multiple of micro_batch, and with sharding of micro_batch "
            f"times the {processes} processes"
        )
    for count in range(1, MOST_GPUS + 1):
        if _fitting(training, count, gpu_bytes, fixed):
            return f"{problem}: it would fit on {count} such GPU(s)"
    return (
        f"{problem}: it would not fit on any number of such GPUs up to {MOST_GPUS} (those that "
        f"share a training have to divide {sequences})"
    )

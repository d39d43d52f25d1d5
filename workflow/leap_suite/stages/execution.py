"""Executions that a training may try, from the fastest to the one with the least GPU memory.

They decide no result, so the stage of trainings does not import this module.
"""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from leap_suite.jobs.provenance import choose_device

if TYPE_CHECKING:
    from leap.execution import Execution

AUTO = "auto"
_KEEP_MASKS = ("maskllm", "patch")  # for the backward pass, unless recomputed


def candidates(implementation: str, method: str, config: Mapping[str, Any]) -> "list[Execution]":
    """Executions of a configured method's training on this job's GPUs, fastest first.

    The first ones save no memory; later ones recompute masks, then also shard state over the GPUs,
    then also recompute activations. At each of these levels micro-batches shrink to one sequence.
    What `execution` sets is fixed. On a CPU, where running out of memory kills the process, only
    the fastest is left. Raises ValueError, before any weight is loaded, where none splits the batch
    evenly.
    """
    from leap.execution import Execution, micro_batch_of

    values, wanted = config["methods"][method], config.get("execution", {})
    fixed = {name: value for name, value in wanted.items() if value != AUTO}
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    batch, shared = values["batch"], values.get("sequences_per_draw")
    savings = ["recompute"] if implementation in _KEEP_MASKS else []
    savings += ["sharding", "checkpointing"] if processes > 1 else ["checkpointing"]
    savings = [name for name in savings if name not in fixed]
    found, refusals = [], []
    for count in range(len(savings) + 1):
        for size in range(shared or batch, 0, -1):
            settings = {"micro_batch": size, **dict.fromkeys(savings[:count], True), **fixed}
            execution = Execution(**settings)
            try:
                micro_batch_of(execution, processes, batch, shared)
            except ValueError as error:
                refusals.append(error)
            else:
                found += [execution] if execution not in found else []
    if not found:
        raise refusals[0]
    return found if choose_device() == "cuda" else found[:1]

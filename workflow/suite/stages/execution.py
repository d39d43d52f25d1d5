"""Ways to compute a job's training, from the fastest to the one that needs the least GPU memory.

They decide no result, so the stages of trainings do not import this module.
"""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from suite.jobs.provenance import choose_device

if TYPE_CHECKING:
    from leap.execution import Execution

AUTO = "auto"
_KEEP_MASKS = (
    "maskllm",
    "patch",
)  # for the backward pass, unless `recompute`; LEAP's kernels do not


def ways_of(implementation: str, method: str, config: Mapping[str, Any]) -> "list[Execution]":
    """Ways to compute a configured method's training on this job's GPUs, fastest first.

    Nothing is saved at first; then masks are recomputed, states sharded over the GPUs, activations
    recomputed, each on top of those before; and in each of these steps micro-batches shrink, from
    all sequences that may go together to one. What the settings `execution` fix is kept. On a CPU,
    where a process that runs out of memory is killed, only the fastest way is left. Raises
    ValueError where none splits the batch evenly, before any weight is loaded.
    """
    from leap.execution import Execution, micro_batch_of

    values, wanted = config["methods"][method], config.get("execution", {})
    fixed = {name: value for name, value in wanted.items() if value != AUTO}
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    batch, shared = values["batch"], values.get("sequences_per_draw")
    most = shared or batch
    savings = ["recompute"] if implementation in _KEEP_MASKS else []
    savings += ["sharding", "checkpointing"] if processes > 1 else ["checkpointing"]
    savings = [name for name in savings if name not in fixed]
    ways, refusals = [], []
    for count in range(len(savings) + 1):
        for size in range(most, 0, -1):
            settings = {"micro_batch": size, **dict.fromkeys(savings[:count], True), **fixed}
            way = Execution(**settings)
            try:
                micro_batch_of(way, processes, batch, shared)
            except ValueError as error:
                refusals.append(error)
            else:
                ways += [way] if way not in ways else []
    if not ways:
        raise refusals[0]
    return ways if choose_device() == "cuda" else ways[:1]

"""How a job's training is computed: what the configuration leaves open is chosen for its GPUs.

It decides no result, so the stages of trainings do not import it.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.jobs.precision import compute_dtype
from suite.jobs.provenance import choose_device
from suite.jobs.shape import shape_of
from suite.plan.cost.execution import Training, choose, together
from suite.plan.cost.shapes import Sizes
from suite.plan.cost.training_memory import gate_of
from suite.stages.models import checkpoint_path, describe

if TYPE_CHECKING:
    from leap.execution import Execution


def execution_of(
    model: Path, implementation: str, method: str, config: Mapping[str, Any]
) -> "Execution":
    """That of a configured method's training of the model in this folder.

    Raises ValueError where nothing fits, before any weight is loaded.
    """
    import torch

    values = config["methods"][method]
    device, gpu_bytes = choose_device(), None
    if device == "cuda":
        gpu = torch.cuda.get_device_properties(int(os.environ.get("LOCAL_RANK", "0")))
        gpu_bytes = gpu.total_memory
    dtype = compute_dtype(describe(model)["dtype"], device)
    training = Training(
        Sizes(**shape_of(checkpoint_path(model))),
        values["batch"],
        together(values),
        config["corpora"]["training"]["length"],
        getattr(torch, dtype).itemsize,
        gate_of(implementation, values),
    )
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    return choose(training, processes, gpu_bytes, config.get("execution", {}))

"""Rule train: learned logits of one cell. With several GPUs, one process on each."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from suite.jobs.determinism import use_determinism
from suite.jobs.gpus import use_gpus
from suite.jobs.job import job, use_threads

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

    from leap.execution import Execution

_SECONDS_TO_SAVE = "600"  # at most, see profiles/slurm/config.yaml


def main() -> None:
    """Train and write logits, report and journal."""
    from suite.plan.cell import Cell
    from suite.stages.train import learn

    params, inputs = snakemake.params, snakemake.input
    learn(
        Path(inputs.model).parent,
        Path(inputs.training),
        {name: Path(inputs[name]) for name in ("warm_start", "sparse_masks") if inputs.get(name)},
        Cell.of(snakemake.wildcards),
        params.run,
        params.recipe,
        Path(params.state),
        execution(Path(inputs.model).parent, params.recipe["implementation"]),
        snakemake.output,
    )


def execution(model: Path, implementation: str) -> "Execution":
    """How the training is computed: what the configuration leaves open is chosen for these GPUs.

    Raises ValueError where nothing fits, before any weight is loaded.
    """
    import torch

    from suite.jobs.precision import compute_dtype
    from suite.jobs.provenance import choose_device
    from suite.jobs.shape import shape_of
    from suite.plan.cost.execution import Training, choose
    from suite.plan.cost.shapes import Sizes
    from suite.plan.cost.training_memory import gate_of
    from suite.stages.models import checkpoint_path, describe

    config = snakemake.config
    values = config["methods"][snakemake.wildcards.method]
    device, gpu_bytes = choose_device(), None
    if device == "cuda":
        gpu = torch.cuda.get_device_properties(int(os.environ.get("LOCAL_RANK", "0")))
        gpu_bytes = gpu.total_memory
    dtype = compute_dtype(describe(model)["dtype"], device)
    training = Training(
        Sizes(**shape_of(checkpoint_path(model))),
        values["batch"],
        values["sequences_per_draw"],
        config["corpora"]["training"]["length"],
        getattr(torch, dtype).itemsize,
        gate_of(implementation, values),
    )
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    return choose(training, processes, gpu_bytes, config.get("execution", {}))


if __name__ == "__main__":
    gpus = snakemake.resources.get("gpu", 0)
    use_threads(max(1, snakemake.threads // max(1, gpus)))
    rank = os.environ.get("RANK", "0")
    with job(snakemake.log[0] if rank == "0" else f"{snakemake.log[0]}.{rank}"):
        use_gpus(gpus)
        if gpus > 1 and "WORLD_SIZE" not in os.environ:
            # or the launcher kills after 30 s those who still save their state
            os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", _SECONDS_TO_SAVE)
            launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={gpus}"]
            # this very process becomes the launcher, so that signals reach it
            os.execv(sys.executable, [sys.executable, *launcher, sys.argv[0]])
        use_determinism(snakemake.params.recipe)
        main()

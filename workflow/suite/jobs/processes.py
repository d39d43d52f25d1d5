"""A job that becomes several processes, one on each of its GPUs."""

import os
import sys

_SECONDS_TO_SAVE = "600"  # at most, see profiles/slurm/config.yaml


def one_on_each(gpus: int) -> None:
    """Start this very script once for each of several GPUs; return where it is one of these.

    The launcher takes the place of this process, so that signals reach it.
    """
    if gpus > 1 and "WORLD_SIZE" not in os.environ:
        # or the launcher kills after 30 s those who still save their state
        os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", _SECONDS_TO_SAVE)
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={gpus}"]
        os.execv(sys.executable, [sys.executable, *launcher, sys.argv[0]])


def log_of(log: str) -> str:
    """The log of this process: the job's own for the first one, one beside it for each other."""
    rank = os.environ.get("RANK", "0")
    return log if rank == "0" else f"{log}.{rank}"

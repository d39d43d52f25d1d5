"""Jobs with one process on each of several GPUs."""

import os
import sys

_SECONDS_TO_SAVE = "600"  # at most, see profiles/slurm/config.yaml


def one_on_each(gpus: int) -> None:
    """Replace this script by torchrun with one process for each of several GPUs.

    Returns in these processes, and with one GPU or none. Signals reach the launcher.
    """
    if gpus > 1 and "WORLD_SIZE" not in os.environ:
        # by default the launcher kills processes that save their state for over 30 s
        os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", _SECONDS_TO_SAVE)
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={gpus}"]
        os.execv(sys.executable, [sys.executable, *launcher, sys.argv[0]])


def log_of(log: str) -> str:
    """Log of this process: the job's own for rank 0, `<log>.<rank>` for others."""
    rank = os.environ.get("RANK", "0")
    return log if rank == "0" else f"{log}.{rank}"

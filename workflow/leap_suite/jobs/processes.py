"""Jobs with one process on each of several GPUs."""

import os
import sys

from leap_suite.jobs.gpu_memory import OUT_OF_MEMORY, TRIED_VARIABLE

_SECONDS_TO_SAVE = "600"  # at most, see profiles/slurm/config.yaml


def one_on_each(gpus: int) -> None:
    """Run this script under torchrun, one process per GPU, and exit with its status.

    Returns in these processes, and with one GPU or none. All are restarted if one of them runs out
    of GPU memory. Signals reach this process, their launcher.
    """
    if gpus <= 1 or "WORLD_SIZE" in os.environ:
        return
    # by default the launcher kills processes that save their state for over 30 s
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", _SECONDS_TO_SAVE)
    tried = 0
    while (status := _launch(gpus)) == OUT_OF_MEMORY:
        tried += 1
        os.environ[TRIED_VARIABLE] = str(tried)
    sys.exit(status)


def _launch(gpus: int) -> int:
    """Exit status of the processes: OUT_OF_MEMORY where it is that of any of them."""
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    try:
        run.main(["--standalone", f"--nproc-per-node={gpus}", sys.argv[0]])
    except SignalException as interrupted:
        return 128 + interrupted.sigval
    except ChildFailedError as error:
        failed = {failure.exitcode for failure in error.failures.values()}
        return OUT_OF_MEMORY if OUT_OF_MEMORY in failed else 1
    return 0


def log_of(log: str) -> str:
    """Log of this process: the job's own for rank 0, `<log>.<rank>` for others."""
    rank = os.environ.get("RANK", "0")
    return log if rank == "0" else f"{log}.{rank}"

"""Start of every rule's script."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from suite.jobs.determinism import use_determinism
from suite.jobs.gpus import use_gpus
from suite.jobs.job import job, use_threads
from suite.jobs.processes import log_of


@contextmanager
def job_of(snakemake: Any) -> Iterator[None]:
    """Run the body as a job with the log, threads and GPUs of its rule.

    Import large libraries inside. Processes on several GPUs share the threads.
    """
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    use_threads(max(1, snakemake.threads // processes))
    with job(log_of(snakemake.log[0])):
        use_gpus(snakemake.resources.get("gpu", 0))
        use_determinism(getattr(snakemake.params, "recipe", {}))
        yield

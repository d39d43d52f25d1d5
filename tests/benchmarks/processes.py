"""A variant of a benchmark in processes of its own, with their own memory and warm caches."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def in_process(
    script: str, options: argparse.Namespace, variant: str, threads: int, processes: int = 1,
    **environment: str,
) -> dict[str, Any]:  # fmt: skip
    """Run the script with `--variant` and this many threads; returns the JSON that it prints last.

    Several processes are started by torchrun.
    """
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    values = {**vars(options), "variant": variant}
    arguments = [f"--{name}={value}" for name, value in values.items()]
    done = subprocess.run(
        [sys.executable, *(launcher if processes > 1 else []), script, *arguments],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "workflow")]),
            "OMP_NUM_THREADS": str(threads),
            "MKL_NUM_THREADS": str(threads),
            **environment,
        },
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found

"""A variant of a benchmark in a process of its own, so that memory and warm caches are its own."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def in_process(
    script: str, options: argparse.Namespace, variant: str, threads: int, **environment: str
) -> dict[str, Any]:
    """Run the script with `--variant` and this many threads; the JSON that it prints last."""
    values = {**vars(options), "variant": variant}
    done = subprocess.run(
        [sys.executable, script, *(f"--{name}={value}" for name, value in values.items())],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "workflow")]),
            "OMP_NUM_THREADS": str(threads),
            "MKL_NUM_THREADS": str(threads),
            **environment,
        },
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])

"""The benchmark of a training step, started on a CPU, so that it runs where there are GPUs."""

import subprocess
import sys

import pytest

from leap_suite.plan.config import MINIATURES
from tests.conftest import ROOT

VARIANTS = ["dense", "official", "leap"]


@pytest.mark.heavy
def test_it_has_a_line_for_every_variant():
    """Those of `leap` in two processes."""
    done = subprocess.run(
        [
            sys.executable, "tests/benchmarks/leap_step.py", "--steps=1", "--length=32",
            f"--model={MINIATURES / 'mini-llama-3.2-1b'}", "--processes=2", "--repeats=1",
            f"--only={','.join(VARIANTS)}",
        ],
        cwd=ROOT, capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [[cell.strip() for cell in line.split("|")] for line in done.stdout.splitlines()]
    found = {line[1]: line[2:6] for line in lines if len(line) > 1 and line[1] in VARIANTS}
    assert list(found) == VARIANTS
    assert all(float(number) > 0 for numbers in found.values() for number in numbers)

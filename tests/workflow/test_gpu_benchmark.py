"""The benchmark for GPUs, started on a CPU, so that it runs when somebody has GPUs."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
VARIANTS = ["dense", "official", "ours", "ours-ckp"]


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("start", "models"),
    [([], ["llama-3.2-1b", "gemma-3-1b"]), (TORCHRUN, ["gemma-3-1b"])],
    ids=["one process", "two processes"],
)
def test_it_has_a_line_for_every_variant_and_the_gate(start, models):
    paths = os.pathsep.join([str(ROOT), str(ROOT / "workflow")])
    done = subprocess.run(
        [sys.executable, *start, "tests/benchmarks/gpu.py", "--steps", "1", "--models", *models],
        cwd=ROOT, capture_output=True, text=True, timeout=500,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    cells = [[cell.strip() for cell in line.split("|")] for line in done.stdout.splitlines()]
    for model in models:
        lines = [line[2:] for line in cells if len(line) > 1 and line[1] == model]
        assert [line[0] for line in lines] == [*VARIANTS, "160 x 64"]
        assert all(float(line[2]) > 0 for line in lines[:4])  # seconds
        assert all(float(number) > 0 for number in lines[4][1:4])

"""The setting `deterministic`: real processes that have it or not."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from leap_suite.plan.cell import Cell
from tests.conftest import ROOT
from tests.unit.recipes import MODEL, recipes
from tests.warm import write_program

SCRIPTS = ("prune", "train", "evaluate", "validate")

STATE = """
import json, os, torch
def state():
    cudnn = torch.backends.cudnn
    return {
        "algorithms": torch.are_deterministic_algorithms_enabled(),
        "warn only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "workspace": os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
        "cudnn": (cudnn.deterministic, cudnn.benchmark, torch.backends.cuda.cudnn_sdp_enabled()),
    }
"""
ON = {"algorithms": True, "warn only": False, "workspace": ":4096:8", "cudnn": [True, False, False]}
OFF = {"algorithms": False, "warn only": False, "workspace": None, "cudnn": [False, False, True]}

# A rule's own script, as Snakemake runs it. Its job then fails for want of inputs.
SCRIPT = f"""{STATE}
import runpy, sys
from types import SimpleNamespace
script, log, recipe = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
snakemake = SimpleNamespace(
    log=[log], threads=1, resources={{"gpu": 0}}, params=SimpleNamespace(recipe=recipe), input=None,
)
try:
    runpy.run_path(script, {{"snakemake": snakemake}}, "__main__")
except SystemExit:
    print(json.dumps(state()), file=sys.__stdout__)
"""

# A pruning that is written as a job writes it, with the settings that its report has.
PRUNING = """
import json, sys
from pathlib import Path
from leap_suite.jobs.script import use_determinism
from leap_suite.plan.cell import Cell
from leap_suite.stages.prune import prune
place, target = sys.argv[1:3]
cell, recipe = map(json.loads, sys.argv[3:])
use_determinism(recipe)
outputs = {key: f"{target}/{key}" for key in ("weights", "mask", "report")}
prune(Path(place, "model"), Path(place, "calibration.safetensors"), Cell(**cell), recipe, outputs)
"""


@pytest.fixture
def process(warm, tmp_path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run a program in a process of its own."""

    def run(code: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
        command = write_program(code, tmp_path / "program.py")
        environment = warm.environment() | {"PYTHONPATH": f"{ROOT}:{ROOT / 'workflow'}"}
        environment.pop("CUBLAS_WORKSPACE_CONFIG", None)
        return subprocess.run(
            [*command, *map(str, arguments)], capture_output=True, text=True, env=environment
        )

    return run


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_that_computes_does_so_as_its_recipe_says(process, script, tmp_path):
    for recipe, expected in (({}, OFF), ({"deterministic": True}, ON)):
        file = ROOT / f"workflow/scripts/{script}.py"
        done = process(SCRIPT, file, tmp_path / "log", json.dumps(recipe))
        assert json.loads(done.stdout) == expected, done.stderr


def test_on_a_cpu_it_changes_no_bit_and_is_recorded(process, place, tmp_path):
    cell = Cell(MODEL, "sparsegpt", "0.5")
    made = []
    for number, wanted in enumerate((False, True, True)):
        target = tmp_path / str(number)
        target.mkdir()
        recipe = recipes(deterministic=wanted).masks(cell)
        done = process(PRUNING, place, target, json.dumps(asdict(cell)), json.dumps(recipe))
        assert done.returncode == 0, done.stderr
        report = json.loads(Path(target, "report").read_text())
        assert report["deterministic"] is wanted
        assert report["recipe"].get("deterministic", False) is wanted
        assert report["cublas_workspace"] == (":4096:8" if wanted else "")
        made.append([Path(target, name).read_bytes() for name in ("weights", "mask")])
    assert made[0] == made[1] == made[2]

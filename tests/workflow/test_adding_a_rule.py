"""CONTRIBUTING's example of a baseline as a rule, followed to the letter in a copy of the suite."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from suite.artifacts.tensors import load_masks
from suite.jobs.provenance import benchmarked
from tests.workflow.documented import add_documented

pytestmark = pytest.mark.heavy

FOLDER = "baselines/relative_magnitude"
NEW = {f"{FOLDER}/{name}" for name in ("rule.smk", "environment.yaml", "prune.py", "schema.yaml")}
MODEL = "mini-llama-3.2-1b"
CELL, PLAIN = f"{MODEL}/relative_magnitude/0.5", f"{MODEL}/relative_magnitude-0/0.5"
RESULTS = "results/smoke"
TABLE, MASK = f"{RESULTS}/tables/main.csv", f"{RESULTS}/pruned/{CELL}/mask.safetensors"
# the command runs in the environment of the tests, as in an active one
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def add_folder(copy: Path) -> str:
    """Write the files of the folder as documented; returns what is said of config.yaml."""
    assert not (copy / FOLDER).exists()
    return add_documented(copy, "Add a baseline as a rule", NEW)


@pytest.fixture(scope="session")
def run(snakemake) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run Snakemake at scale smoke in a folder for some targets."""

    def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        return snakemake(folder, *arguments, "--config", "scale=smoke", PATH=PATH)

    return run


@pytest.fixture(scope="module")
def extended(tmp_path_factory, begun_run, run) -> Path:
    """A copy of the suite with the example, which has run to the table; to be read."""
    copy = begun_run(tmp_path_factory.mktemp("rule") / "suite", "world", "models", "corpora")
    settings = add_folder(copy)
    with open(copy / "config.yaml", "a") as file:
        file.write(settings)
    process = run(copy, TABLE)
    assert process.returncode == 0, process.stderr[-5000:]
    return copy


@pytest.fixture
def own(extended, tmp_path) -> Path:
    """Another copy of it in another place, which a test may change."""
    return Path(shutil.copytree(extended, tmp_path / "moved", symlinks=True))


def planned(process: subprocess.CompletedProcess[str]) -> dict[str, int]:
    assert process.returncode == 0, process.stderr[-5000:]
    lines = re.findall(r"^(\w+) +(\d+)$", process.stdout + process.stderr, flags=re.M)
    return {name: int(count) for name, count in lines if name != "total"}


def manifest_of(copy: Path, cell: str) -> dict:
    return json.loads((copy / RESULTS / "hardened" / cell / "manifest.json").read_text())


def test_the_method_and_its_variant_have_their_rows(extended):
    with open(extended / TABLE) as file:
        rows = {row["method"]: row for row in csv.DictReader(file)}
    assert set(rows) == {
        "dense", "relative_magnitude", "relative_magnitude-0", "magnitude-global",
    }  # fmt: skip
    relative, plain = rows["relative_magnitude"], rows["relative_magnitude-0"]
    assert relative["achieved_sparsity"] == plain["achieved_sparsity"] == "0.5"
    # with power 0 it is what the suite's own module does
    others = rows["magnitude-global"]
    own = [key for key in others if key != "method" and "leap" not in key]
    assert [plain[key] for key in own] == [others[key] for key in own]
    assert relative["ppl"] != plain["ppl"]


def test_its_masks_are_exact_over_the_whole_model(extended):
    masks = load_masks(extended / MASK)
    total = sum(mask.numel() for mask in masks.values())
    assert sum(int(mask.sum()) for mask in masks.values()) == total // 2
    plain = load_masks(extended / RESULTS / "pruned" / PLAIN / "mask.safetensors")
    module = load_masks(
        extended / RESULTS / "pruned" / MODEL / "magnitude-global/0.5/mask.safetensors"
    )
    assert all((plain[name] == module[name]).all() for name in module)
    assert not (extended / RESULTS / "foreign").exists()  # taken over


def test_the_manifest_has_implementation_settings_cost_and_the_folders_fingerprint(extended):
    program = (
        "from suite.plan.code import fingerprint; from suite.plan.methods import rule_folders; "
        "folder = rule_folders()['relative_magnitude']; "
        "print(fingerprint('suite.stages.adopt', data=[folder]), end='')"
    )
    code = subprocess.run(
        [sys.executable, "-c", program], cwd=extended, capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": f"{extended}:{extended}/workflow"},
    ).stdout  # fmt: skip
    for cell, power in ((CELL, 1.0), (PLAIN, 0.0)):
        manifest = manifest_of(extended, cell)
        assert manifest["pruning"]["implementation"] == "relative_magnitude"
        assert manifest["pruning"]["settings"] == {"power": power}
        cost = manifest["pruning"]["cost"]
        assert cost == benchmarked(extended / RESULTS / "benchmarks/foreign" / f"{cell}.tsv")
        assert cost["wall_time_seconds"] > 0
        assert manifest["recipe"]["masks"]["code"] == code
        assert manifest["kept_weights_changed"] is False


def test_in_another_place_there_is_nothing_to_do(own, run):
    assert planned(run(own, TABLE, "--dry-run")) == {}


@pytest.mark.parametrize("name", sorted(NEW))
def test_an_edit_of_any_file_runs_its_rule_again_and_no_other_method(own, run, name):
    with open(own / name, "a") as file:
        file.write("\n# edited\n")
    assert planned(run(own, TABLE, "--dry-run")) == {
        "relative_magnitude": 2, "adopt": 2, "harden": 2, "evaluate": 2, "tables": 1,
    }  # fmt: skip


SAVED = "    save_file(masks, options.mask)\n    save_file({}, options.weights)\n"
WRONG = {
    "a missing layer": (
        f"    masks.pop(next(iter(masks)))\n{SAVED}",
        r"mask\.safetensors: there is no mask of model\.layers\.\d\.\S+$",
    ),
    "a wrong count": (
        f"    next(iter(masks.values()))[:] = True\n{SAVED}",
        r"mask\.safetensors keeps \d+ of \d+ weights, but sparsity 0\.5 means \d+$",
    ),
    "float masks": (
        f"    masks = {{name: mask.astype(np.float32) for name, mask in masks.items()}}\n{SAVED}",
        r"mask\.safetensors: \S+ must be bool, or 0 and 1 as uint8$",
    ),
    "NaN weights": (
        SAVED.replace("{}", '{f"{n}.weight": m * np.float32(np.nan) for n, m in masks.items()}'),
        r"weights\.safetensors: \S+\.weight holds NaN or infinite weights$",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_breaks_the_contract_is_said_in_one_line(own, run, what):
    written, complaint = WRONG[what]
    script = own / FOLDER / "prune.py"
    text = script.read_text()
    assert text.count(SAVED) == 1
    script.write_text(text.replace(SAVED, written))
    process = run(own, MASK)
    output = process.stdout + process.stderr
    assert process.returncode != 0 and "Traceback" not in output, output[-3000:]
    (line,) = (own / RESULTS / "logs/adopt" / f"{CELL}.log").read_text().splitlines()
    place = f"ValueError: {RESULTS}/foreign/{CELL}/"
    assert re.search(re.escape(place) + complaint, line), line
    assert line in output
    assert not (own / MASK).exists()


def test_a_folder_whose_method_is_not_configured_changes_nothing(tmp_path, copy_suite, run):
    copy = copy_suite(tmp_path / "suite")
    before = planned(run(copy, TABLE, "--dry-run"))
    add_folder(copy)
    assert planned(run(copy, TABLE, "--dry-run")) == before
    assert "prune" in before and "relative_magnitude" not in before


def test_the_example_keeps_to_the_style_of_rules_and_code(tmp_path, copy_suite):
    copy = copy_suite(tmp_path / "suite")
    add_folder(copy)
    for command in (
        ["snakefmt", "--check", FOLDER],
        ["ruff", "check", FOLDER],
        ["ruff", "format", "--check", FOLDER],
        ["mypy", f"{FOLDER}/prune.py"],
        ["snakemake", "--lint"],
    ):
        process = subprocess.run(
            command, cwd=copy, capture_output=True, text=True, env={**os.environ, "PATH": PATH}
        )
        assert process.returncode == 0, (command, process.stdout + process.stderr)

"""Killed jobs, full disks, damaged files: afterwards a second run gives the undisturbed results."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.heavy

MODEL = "mini-llama-3.2-1b"
CELL = f"{MODEL}/leap/0.5"
RESULTS = "results/smoke"
SETTINGS = (
    "--config", "scale=smoke", f"grid={{models: [{MODEL}], methods: [wanda, leap]}}",
    "methods={leap: {steps: 40}}",
)  # fmt: skip
TOKEN = "hf_PlantedTokenThatNobodyMaySee"

# stage, the file it is run for, and how long it is left to work before it is killed, at first
STAGES = {
    "corpus": (f"{RESULTS}/corpora/{MODEL}/training.safetensors", 1.0),
    "prune": (f"{RESULTS}/pruned/{MODEL}/wanda/0.5/mask.safetensors", 1.5),
    "train": (f"{RESULTS}/pruned/{CELL}/logits.safetensors", 2.0),
    "harden": (f"{RESULTS}/hardened/{CELL}/manifest.json", 1.5),
    "evaluate": (f"{RESULTS}/evaluations/{CELL}.json", 2.5),
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, begun_run, snakemake) -> Path:
    """A copy of the suite in which two cells have gone all the way, with a token around."""
    copy = begun_run(tmp_path_factory.mktemp("undisturbed") / "suite", "world", "models")
    process = snakemake(copy, *SETTINGS, HF_TOKEN=TOKEN)
    assert process.returncode == 0, process.stderr[-5000:]
    assert TOKEN not in process.stdout + process.stderr
    return copy


def contents(copy: Path) -> dict[str, object]:
    """All results of the cells, without what differs from one run to the next: times and memory."""
    found: dict[str, object] = {}
    for kind in ("corpora", "pruned", "hardened", "items"):
        for file in sorted((copy / RESULTS / kind).rglob("*")):
            if file.suffix in (".safetensors", ".gz"):
                found[str(file.relative_to(copy))] = file.read_bytes()
    for file in sorted((copy / RESULTS / "evaluations").rglob("*.json")):
        evaluation = json.loads(file.read_text())
        found[str(file.relative_to(copy))] = {k: evaluation[k] for k in ("tasks", "perplexity")}
    return found


def assert_same(copy: Path, reference: Path) -> None:
    ours, theirs = contents(copy), contents(reference)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []


def wait_for_job(copy: Path, stage: str) -> int:
    """Process id of a stage's job."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if f"{stage}.py" in entry.read_text() and os.readlink(entry.parent / "cwd") == str(
                    copy
                ):
                    return int(entry.parent.name)
            except OSError:
                continue
        time.sleep(0.02)
    raise AssertionError(f"the stage {stage} did not begin")


@pytest.fixture
def kill_in(start_snakemake) -> Callable[..., bool]:
    """Kill Snakemake and the stage's job, as a node that goes down; whether that was in time."""

    def kill(copy: Path, stage: str, target: str, seconds: float) -> bool:
        run = start_snakemake(copy, target, *SETTINGS, apart=True)
        wait_for_job(copy, stage)
        time.sleep(seconds)
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate()
        return not (copy / target).exists()

    return kill


def test_sigkill_in_every_stage_changes_no_bit(
    undisturbed, tmp_path, begun_run, kill_in, snakemake
):
    copy = begun_run(tmp_path / "suite", "world", "models")
    for stage, (target, seconds) in STAGES.items():
        # how fast the machine is, nobody knows
        for wait in (seconds, seconds / 3, seconds / 10, seconds / 30, 0):
            if kill_in(copy, stage, target, wait):
                break
            (copy / target).unlink()
            snakemake(copy, "--unlock", *SETTINGS)
        else:
            pytest.fail(f"{stage} was over before it was killed, every time")
        refused = snakemake(copy, target, *SETTINGS)
        assert refused.returncode != 0 and "--unlock" in refused.stdout + refused.stderr
        assert snakemake(copy, "--unlock", *SETTINGS).returncode == 0
    process = snakemake(copy, *SETTINGS)
    assert process.returncode == 0, process.stderr[-5000:]
    assert_same(copy, undisturbed)
    left = [f for f in (copy / RESULTS).rglob(".*") if f.name != ".snakemake_timestamp"]
    assert left == [], "remains of killed jobs"


@pytest.fixture
def small_disk(tmp_path, copy_suite, undisturbed) -> Iterator[Path]:
    """A copy of the suite in which corpora, models and masks are there and the rest is to do."""
    copy = copy_suite(tmp_path / "suite")
    for kind in ("world", "models", "corpora", "pruned"):
        shutil.copytree(undisturbed / RESULTS / kind, copy / RESULTS / kind)
    yield copy
    for line in Path("/proc/mounts").read_text().splitlines():
        if str(copy) in line:
            subprocess.run(["umount", "-l", line.split()[1]], check=True)


@pytest.mark.parametrize(
    ("folder", "target"),
    [
        ("corpora", f"{RESULTS}/corpora/{MODEL}/training.safetensors"),
        ("pruned", f"{RESULTS}/pruned/{MODEL}/wanda/0.5/mask.safetensors"),
        ("hardened", f"{RESULTS}/hardened/{CELL}/manifest.json"),
    ],
)
def test_a_full_disk_is_said_and_leaves_nothing(folder, target, small_disk, undisturbed, snakemake):
    place = small_disk / RESULTS / folder
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(place)])
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here: that takes root")
    # of these stages alone: what the disk is too small for
    process = snakemake(small_disk, target, *SETTINGS, "--rerun-triggers", "mtime")
    output = process.stdout + process.stderr
    assert process.returncode != 0
    assert "the disk is full" in output and "Traceback" not in output, output[-3000:]
    assert [f for f in place.rglob("*") if f.is_file() and f.stat().st_size] == []
    subprocess.run(["mount", "-o", "remount,size=50m", str(place)], check=True)
    process = snakemake(small_disk, target, *SETTINGS, "--rerun-triggers", "mtime")
    assert process.returncode == 0, (process.stdout + process.stderr)[-3000:]
    made = [file for file in place.rglob("*.safetensors") if file.is_file()]
    assert made
    for file in made:
        same = undisturbed / file.relative_to(small_disk)
        assert file.read_bytes() == same.read_bytes(), file


DAMAGED = {
    "corpus": (f"corpora/{MODEL}/training.safetensors", f"pruned/{CELL}/logits.safetensors"),
    "dense weights": (f"models/{MODEL}/model.safetensors", f"hardened/{CELL}/manifest.json"),
    "logits": (f"pruned/{CELL}/logits.safetensors", f"pruned/{CELL}/mask.safetensors"),
    "mask": (f"pruned/{CELL}/mask.safetensors", f"hardened/{CELL}/manifest.json"),
    "report": (f"pruned/{CELL}/training.json", f"hardened/{CELL}/manifest.json"),
    "checkpoint": (f"hardened/{CELL}/model.safetensors", f"evaluations/{CELL}.json"),
    "evaluation": (f"evaluations/{CELL}.json", "tables/main.csv"),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_file_is_named_and_not_used(what, undisturbed, tmp_path, snakemake):
    copy = tmp_path / "suite"
    shutil.copytree(undisturbed, copy, ignore=shutil.ignore_patterns("mlflow.db*"))
    file, target = (copy / RESULTS / name for name in DAMAGED[what])
    whole = file.read_bytes()
    middle = len(whole) // 2
    file.write_bytes(whole[:middle] + bytes([whole[middle] ^ 4]) + whole[middle + 1 :])
    target.unlink()
    name = str(target.relative_to(copy))
    process = snakemake(copy, name, *SETTINGS, "--rerun-triggers", "mtime")
    output = process.stdout + process.stderr
    assert process.returncode != 0
    assert file.name in output or str(file.parent.relative_to(copy)) in output, output[-2000:]
    assert "Traceback" not in output, output[-2000:]
    assert not target.exists()
    if what == "dense weights":
        file.write_bytes(whole)
    else:
        file.unlink()
    process = snakemake(copy, name, *SETTINGS, "--rerun-triggers", "mtime")
    assert process.returncode == 0, (process.stdout + process.stderr)[-3000:]
    assert target.exists()


def test_a_second_run_in_the_same_folder_is_refused(
    tmp_path, copy_suite, start_snakemake, snakemake
):
    copy = copy_suite(tmp_path / "suite")
    first = start_snakemake(copy, STAGES["corpus"][0], *SETTINGS, LEAP_SUITE_WORKER="")
    wait_for_job(copy, "miniature_world")
    second = snakemake(copy, STAGES["corpus"][0], *SETTINGS)
    _, errors = first.communicate(timeout=120)
    assert second.returncode != 0 and "cannot be locked" in second.stdout + second.stderr
    assert first.returncode == 0, errors[-3000:]


def test_no_token_is_written_anywhere(undisturbed):
    places = [undisturbed / "results", undisturbed / ".snakemake"]
    files = [file for place in places for file in place.rglob("*") if file.is_file()]
    assert any(file.name == "mlflow.db" for file in files)
    assert [file for file in files if TOKEN.encode() in file.read_bytes()] == []

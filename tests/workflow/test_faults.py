"""Killed jobs, full disks, damaged files: afterwards a second run gives the undisturbed results."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from tests.workflow.conftest import SMOKE, TOKEN
from tests.workflow.held import Hold

pytestmark = pytest.mark.heavy

MODEL, OTHER = "mini-llama-3.2-1b", "mini-qwen-2.5-0.5b"
RESULTS = "results/smoke"


def contents(copy: Path) -> dict[str, object]:
    """All results of the cells, without times and memory, which differ between runs."""
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


def remains(copy: Path) -> list[Path]:
    """Temporary files of jobs."""
    hidden = (copy / RESULTS).rglob(".*")
    return [place for place in hidden if place.name != ".snakemake_timestamp"]


# a job of each stage that waits for no other, by the last file that it writes
KILLED = {
    "corpus": f"{RESULTS}/corpora/{OTHER}/training.safetensors",
    "prune": f"{RESULTS}/pruned/{MODEL}/admm/0.5/pruning.json",
    "train": f"{RESULTS}/pruned/{MODEL}/leap/0.5/logits.safetensors",
    "harden": f"{RESULTS}/hardened/{MODEL}/magnitude/0.5/manifest.json",
    "evaluate": f"{RESULTS}/evaluations/{MODEL}/wanda/0.5.json",
}
MASK = f"{RESULTS}/pruned/{MODEL}/leap/0.5/mask.safetensors"  # of the logits
# without the warm worker, jobs are killed with Snakemake; the smoke run has the worker
ALONE = (*SMOKE, "warm_worker=false")


@pytest.fixture
def start(tmp_path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], Hold]]]:
    """Begin a run with a core for each held job, and wait until all files are held."""
    runs = []

    def start(copy: Path, name: str, held_files: Iterable[str], *targets: str):
        held = Hold(tmp_path / name, *held_files)
        command = [sys.executable, "-m", "snakemake", "--cores", str(len(KILLED))]
        run = subprocess.Popen(
            [*command, *targets, *ALONE], cwd=copy, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, **held.environment},
        )  # fmt: skip
        runs.append(run)
        held.wait(run)
        return run, held

    yield start
    for run in runs:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)


def test_sigkill_in_every_stage_changes_no_bit(own_smoke_run, smoke_run, start, succeed, fail):
    """As a node that goes down: Snakemake and its jobs are killed, each as it puts a file in place.

    A second run at the same time is refused.
    """
    copy = own_smoke_run
    for file in KILLED.values():
        (copy / file).unlink()
    run, _ = start(copy, "killed", KILLED.values(), *KILLED.values())
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    assert [file for file in KILLED.values() if (copy / file).exists()] == []
    assert len(remains(copy)) >= len(KILLED)
    succeed(copy, "--unlock", *ALONE)

    run, held = start(copy, "freed", [KILLED["corpus"]], *KILLED.values(), MASK)
    text = fail(copy, KILLED["corpus"], *ALONE)
    assert "cannot be locked" in text and "--unlock" in text
    held.free()
    output, _ = run.communicate(timeout=300)
    assert run.returncode == 0, output[-5000:]
    assert_same(copy, smoke_run)
    assert remains(copy) == []


# folder on a small disk, its file, and the log of the job that writes it
DISKS = {
    f"corpora/{OTHER}": ("training.safetensors", f"corpus/{OTHER}/training.log"),
    f"pruned/{MODEL}/admm/0.5": ("mask.safetensors", f"prune/{MODEL}/admm/0.5.log"),
    f"hardened/{MODEL}/leap/0.5": ("manifest.json", f"harden/{MODEL}/leap/0.5.log"),
}


@pytest.fixture
def small_disks(own_smoke_run) -> Iterator[list[Path]]:
    """Disks of 16 kB in a finished run, in the place of these folders."""
    places = [own_smoke_run / RESULTS / folder for folder in DISKS]
    mounted = []
    for place in places:
        shutil.rmtree(place)
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(place)]
        if subprocess.run(command).returncode:
            pytest.skip("a small disk cannot be mounted here: that takes root")
        mounted.append(place)
    yield places
    for place in mounted:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_reported_and_leaves_nothing(
    small_disks, own_smoke_run, smoke_run, snakemake, succeed
):
    targets = [f"{RESULTS}/{folder}/{file}" for folder, (file, _) in DISKS.items()]
    process = snakemake(own_smoke_run, *targets, "--keep-going", *SMOKE)
    # Snakemake prints a traceback of its own, as it cannot remove a mount point
    assert process.returncode != 0
    for place, (_, log) in zip(small_disks, DISKS.values(), strict=True):
        text = (own_smoke_run / RESULTS / "logs" / log).read_text()
        assert "the disk is full" in text and "Traceback" not in text, text[-3000:]
        assert [f for f in place.rglob("*") if f.is_file() and f.stat().st_size] == []
        subprocess.run(["mount", "-o", "remount,size=50m", str(place)], check=True)
    succeed(own_smoke_run, *targets, *SMOKE)
    made = [file for place in small_disks for file in place.rglob("*.safetensors")]
    assert len(made) >= len(small_disks)
    for file in made:
        assert file.read_bytes() == (smoke_run / file.relative_to(own_smoke_run)).read_bytes()


# output and log of a rule's job for a cell
JOBS = {
    "train": ("pruned/{}/logits.safetensors", "train/{}.log"),
    "binarise": ("pruned/{}/mask.safetensors", "binarise/{}.log"),
    "harden": ("hardened/{}/manifest.json", "harden/{}.log"),
    "evaluate": ("evaluations/{}.json", "evaluate/{}.log"),
    "collect": ("results.parquet", "collect.log"),
}
# damaged file, and rule and cell of a job that reads it; none of these jobs waits for another
DAMAGED = {
    "corpus": (f"corpora/{MODEL}/training.safetensors", "train", f"{MODEL}/leap/0.5"),
    "dense weights": (f"models/{OTHER}/model.safetensors", "harden", f"{OTHER}/magnitude/0.5"),
    "logits": (f"pruned/{OTHER}/leap/0.5/logits.safetensors", "binarise", f"{OTHER}/leap/0.5"),
    "mask": (f"pruned/{MODEL}/magnitude/0.5/mask.safetensors", "harden", f"{MODEL}/magnitude/0.5"),
    "report": (f"pruned/{MODEL}/admm/0.5/pruning.json", "harden", f"{MODEL}/admm/0.5"),
    "checkpoint": (f"hardened/{MODEL}/wanda/0.5/model.safetensors", "evaluate",
                   f"{MODEL}/wanda/0.5"),
    "evaluation": (f"evaluations/{OTHER}/wanda/0.5.json", "collect", ""),
}  # fmt: skip
# a frame of this evaluation and the dense model's alone
SMALL = (*SMOKE, f"grid={{models: [{OTHER}], methods: [wanda]}}")


def damage(file: Path) -> bytes:
    """Flip one bit, as a disk does, without a new time; returns the undamaged content."""
    whole, times = file.read_bytes(), file.stat()
    middle = len(whole) // 2
    file.write_bytes(whole[:middle] + bytes([whole[middle] ^ 4]) + whole[middle + 1 :])
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    return whole


def test_damaged_files_are_named_and_not_used(own_smoke_run, smoke_run, succeed, fail):
    results = own_smoke_run / RESULTS
    jobs = {
        what: (file, *(name.format(cell) for name in JOBS[rule]))
        for what, (file, rule, cell) in DAMAGED.items()
    }
    whole = {what: damage(results / file) for what, (file, _, _) in jobs.items()}
    for _, target, log in jobs.values():
        (results / target).unlink()
        (results / "logs" / log).unlink()
    targets = [f"{RESULTS}/{target}" for _, target, _ in jobs.values()]
    fail(own_smoke_run, *targets, "--keep-going", *SMALL)
    for what, (file, target, log) in jobs.items():
        text = (results / "logs" / log).read_text()
        # of a checkpoint the folder is named
        name = str(Path(file).parent) if what == "checkpoint" else file
        assert f"{RESULTS}/{name} is " in text and "Traceback" not in text, (what, text[-2000:])
        assert not (results / target).exists(), what

    for what, (file, _, _) in jobs.items():
        if what == "dense weights":
            (results / file).write_bytes(whole[what])
        else:
            (results / file).unlink()
    succeed(own_smoke_run, *targets, *SMALL)
    assert [target for target in targets if not (own_smoke_run / target).exists()] == []
    assert_same(own_smoke_run, smoke_run)


def test_no_token_is_written_anywhere(smoke_run):
    places = [smoke_run / "results", smoke_run / ".snakemake", smoke_run.parent / "finished"]
    files = [file for place in places for file in [place, *place.rglob("*")] if file.is_file()]
    assert any(file.name == "mlflow.db" for file in files)
    assert b"Evaluating" in (smoke_run.parent / "finished").read_bytes()
    assert [file for file in files if TOKEN.encode() in file.read_bytes()] == []

"""Real processes over gloo against one process with the same global batch, for every method."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from leap.training.masks import METRICS
from tests.unit.leap.tiny import WEIGHTS, learned, model_for, random_masks, settings_of, tokens
from tests.warm import TORCHRUN, write_program

pytestmark = pytest.mark.heavy

ROOT = Path(__file__).parents[3]
HOW = ("micro_batch", "sharding", "recompute", "checkpointing")
TRAINING = {"steps": 20, "batch": 8, "learning_rate": 3e-3}
TIMES = {"seconds", "tokens_per_second"}

WORKER = f"""
import json, os, sys
from pathlib import Path
import torch
from safetensors.torch import save_file
from leap.distributed import parallel, topk
from leap.execution import Execution
from leap.model.layers import prunable_linears
from leap.states import checkpoint
from tests.unit.leap.tiny import learned, model_for, random_masks, settings_of, tokens

checkpoint._SAVING_SHARE = 1e9  # save before every step, whatever that costs
folder, jobs = Path(sys.argv[1]), json.loads(sys.argv[2])
parallel.start()
rank = parallel.rank()
(folder / f"pid-{{rank}}").write_text(str(os.getpid()))

def is_part(part, whole):  # whether these are some rows of a matrix, one after the other
    starts = range(len(whole) - len(part) + 1)
    return len(part) == 0 or any(torch.equal(part, whole[s : s + len(part)]) for s in starts)

for name, job in jobs.items():
    lines = []
    progress = open(folder / f"progress-{{rank}}", "a")

    def report(step, values):
        lines.append([step, values])
        print(step, file=progress, flush=True)

    kind = job.pop("kind", "leap")
    execution = Execution(**{{n: job.pop(n) for n in {list(HOW)} if n in job}})
    options = {{"state": folder / "state"}} if job.pop("with_state", False) else {{}}
    model, wanted = model_for(kind), model_for(kind)
    if job.pop("warm", False):
        options["prior"] = random_masks(model)
    try:
        found = learned(kind, settings_of(kind, **job), model=model, blocks=tokens(9),
                        execution=execution, save_seconds=0, report=report, **options)
    except ValueError as error:
        (folder / f"{{name}}-{{rank}}.error").write_text(str(error))
        continue
    split = [id(m.weight) for m in prunable_linears(model).values()] if execution.sharding else []
    intact = all(
        p.requires_grad and (torch.equal(p, q) or id(p) in split and is_part(p, q))
        for p, q in zip(model.parameters(), wanted.parameters(), strict=True)
    )
    save_file(found, folder / f"{{name}}-{{rank}}.safetensors")
    (folder / f"{{name}}-{{rank}}.json").write_text(json.dumps([intact, lines]))

# equal scores on both sides of the border between the processes are kept in their order
score_OI = torch.ones(5, 4).index_fill(0, torch.tensor([1]), 2.0)
rows = slice(0, 3) if rank == 0 else slice(3, 5)
if parallel.world_size() == 2:
    kept = [topk.largest(score_OI[rows], keep, True).tolist() for keep in range(21)]
    (folder / f"tied-{{rank}}.json").write_text(json.dumps(kept))
"""


def alone(kind="leap", warm=False, **changes):
    """The same training in this process, plainly."""
    lines = []
    prior = {"prior": random_masks(model_for(kind))} if warm else {}
    settings = settings_of(kind, **{**TRAINING, **changes})
    report = lambda step, values: lines.append([step, values])  # noqa: E731
    return learned(kind, settings, blocks=tokens(9), report=report, **prior), lines


class Pair:
    """Processes that do one training after another, two if not told otherwise."""

    def __init__(self, warm, folder, jobs, processes=2):
        self.folder = folder
        self.ranks = range(processes)
        launcher = write_program(TORCHRUN, folder / "launch.py")
        *_, script = write_program(WORKER, folder / "worker.py")
        for file in [*folder.glob("pid-*"), *folder.glob("progress-*")]:
            file.unlink()
        jobs = {name: {**TRAINING, **changes} for name, changes in jobs.items()}
        environment = {**warm.environment(), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self.launcher = subprocess.Popen(
            [*launcher, "--standalone", "--nproc-per-node", str(processes), script, str(folder),
             json.dumps(jobs)],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def wait_for_steps(self, count):
        """Until all processes have reported so many steps."""
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            assert self.launcher.poll() is None, self.launcher.stdout.read()
            files = [self.folder / f"progress-{rank}" for rank in self.ranks]
            if all(f.exists() and len(f.read_text().splitlines()) >= count for f in files):
                return self
            time.sleep(0.005)
        raise AssertionError(f"{count} steps took more than 180 s")

    def signal(self, number, ranks=(0, 1)):
        for rank in ranks:
            os.kill(int((self.folder / f"pid-{rank}").read_text()), number)
        return self

    def end(self, seconds=480):
        try:
            output, _ = self.launcher.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.launcher.send_signal(signal.SIGTERM)  # it stops its workers
            output, _ = self.launcher.communicate(timeout=60)
            pytest.fail(f"the processes hang:\n{output}")
        return self.launcher.returncode, output

    def finish(self):
        status, output = self.end()
        assert status == 0, output
        return self

    def result(self, name, rank=0):
        """Tensors, whether the model came out as it went in, and the reported lines."""
        intact, lines = json.loads((self.folder / f"{name}-{rank}.json").read_text())
        return load_file(self.folder / f"{name}-{rank}.safetensors"), intact, lines


# what they do and how; the single process always does the plain thing
JOBS = {
    "plain": {},
    "warm": {"warm": True},
    "per_block_l1": {"density_scope": "per_block", "magnitude": "l1"},
    "clipped": {"max_grad_norm": 0.15},
    "clipped_sharded": {"max_grad_norm": 0.15, "sharding": True},
    "sharded": {"sharding": True},
    "sharded_lean": {"sharding": True, "recompute": True, "checkpointing": True},
    "sharded_warm_l1": {"sharding": True, "warm": True, "magnitude": "l1"},
    "sharded_per_block": {"sharding": True, "density_scope": "per_block_sum", "magnitude": "none"},
    "shared_draws": {"sequences_per_draw": 8, "micro_batch": 2},
    "shared_draws_sharded": {"sequences_per_draw": 8, "micro_batch": 2, "sharding": True},
    "maskllm": {"kind": "2:4", "weight_decay": 0.1},
    "maskllm_sharded": {"kind": "2:4", "sharding": True, "recompute": True},
    "patch": {"kind": "joint"},
    "patch_sharded": {"kind": "joint", "sharding": True, "checkpointing": True},
    "tile": {"kind": "tile"},
    "tile_sharded": {"kind": "tile", "sharding": True, "checkpointing": True},
    "elsa": {"kind": "elsa"},
    "elsa_by_moment_clipped": {
        "kind": "elsa", "projection": "moment", "max_grad_norm": 0.15, "micro_batch": 1,
    },
    "elsa_sharded": {"kind": "elsa", "sharding": True},
    "elsa_sharded_lean": {
        "kind": "elsa", "projection": "moment", "sharding": True, "checkpointing": True,
        "micro_batch": 2, "max_grad_norm": 0.15,
    },
    "all_trained": {"kind": "elsa-all", "micro_batch": 2},
    "all_trained_sharded": {"kind": "elsa-all", "sharding": True},
    "all_trained_sharded_lean": {
        "kind": "elsa-all", "sharding": True, "checkpointing": True, "micro_batch": 2,
        "clipping": "sum", "weight_decay": 0.1,
    },
    "fine_tuned": {"kind": "finetune"},
    "fine_tuned_sharded": {"kind": "finetune", "sharding": True, "mask_share": 0.25},
    "distilled": {"kind": "distil", "micro_batch": 1},
    "distilled_sharded": {
        "kind": "distil", "sharding": True, "checkpointing": True, "max_grad_norm": 0.15,
    },
    "gradual": {"kind": "gmp"},
    "gradual_sharded": {"kind": "gmp", "sharding": True, "micro_batch": 2},
}  # fmt: skip
REFUSED = {
    "batch / micro_batch is 3, which 2 processes cannot share": {"batch": 6},
    "sequences_per_draw is 3, but with sharding the sequences of all": {
        "batch": 6, "sequences_per_draw": 3, "sharding": True,
    },
    "batch is 5, which 2 processes cannot share evenly": {"kind": "elsa", "batch": 5},
}  # fmt: skip


@pytest.fixture(scope="module")
def pair(tmp_path_factory, warm):
    refused = {f"refused{place}": job for place, job in enumerate(REFUSED.values())}
    return Pair(warm, tmp_path_factory.mktemp("pair"), {**refused, **JOBS}).finish()


def assert_near(found, wanted):
    assert sorted(found) == sorted(wanted)
    for name, tensor in wanted.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=1e-5, msg=name)


@pytest.mark.parametrize("name", JOBS)
def test_two_processes_learn_what_one_learns(pair, name):
    plain = {key: value for key, value in JOBS[name].items() if key not in HOW}
    expected, lines = alone(**plain)
    (found, intact, reported), (second, other, others) = (pair.result(name, r) for r in (0, 1))
    assert_near(found, expected)
    assert not second, "the first process has the result"
    assert JOBS[name].get("kind") in WEIGHTS or (intact and other), "weights are as they were"
    assert [step for step, _ in reported] == [step for step, _ in lines]
    for (step, values), (_, wanted), (_, same) in zip(reported, lines, others, strict=True):
        assert list(values) == list(wanted)
        for key in values.keys() - TIMES:
            assert values[key] == pytest.approx(wanted[key], rel=1e-4, abs=1e-5), (step, key)
            assert values[key] == same[key]


def test_saving_memory_does_not_change_a_bit_of_a_sharded_training(pair):
    plain, lean = (pair.result(name)[0] for name in ("sharded", "sharded_lean"))
    assert all(torch.equal(plain[name], lean[name]) for name in plain)


@pytest.mark.parametrize(("place", "message"), list(enumerate(REFUSED)))
def test_what_processes_cannot_share_is_refused_everywhere(pair, place, message):
    for rank in (0, 1):
        said = (pair.folder / f"refused{place}-{rank}.error").read_text()
        assert said.startswith(message)


def test_ties_are_kept_in_the_order_of_the_whole_matrix(pair):
    parts = [json.loads((pair.folder / f"tied-{rank}.json").read_text()) for rank in (0, 1)]
    second_row = range(4, 8)  # whose scores are larger
    order = [*second_row, *range(4), *range(8, 20)]
    for keep, (first, last) in enumerate(zip(*parts, strict=True)):
        found = [kept for row in (*first, *last) for kept in row]
        assert found == [place in order[:keep] for place in range(20)], keep


def states(folder):
    return sorted(file.name for file in (folder / "state").glob("step-*.safetensors"))


STEPS = 18  # of a training that is interrupted
PLAIN = {"job": {"with_state": True, "steps": STEPS}}
SHARDED = {"job": {**PLAIN["job"], "sharding": True, "checkpointing": True}}


@pytest.mark.parametrize("jobs", [PLAIN, SHARDED], ids=["plain", "sharded"])
def test_a_terminated_pair_resumes(tmp_path, warm, jobs):
    """SIGTERM goes to the launcher, as a scheduler sends it, which passes it on."""
    pair = Pair(warm, tmp_path, jobs).wait_for_steps(4)
    pair.launcher.send_signal(signal.SIGTERM)
    status, output = pair.end()
    assert status != 0
    steps = {rank: len((tmp_path / f"progress-{rank}").read_text().splitlines()) for rank in (0, 1)}
    assert steps[0] == steps[1], "the processes stopped at different steps"
    parts = ["0-of-2", "1-of-2"] if jobs is SHARDED else ["whole"]
    newest = [f"step-{steps[0]:08d}.{part}.safetensors" for part in parts]
    assert states(tmp_path)[-len(parts) :] == newest, output
    again = Pair(warm, tmp_path, jobs).finish()
    found, intact, lines = again.result("job")
    assert intact
    assert [step for step, _ in lines] == list(range(STEPS))
    assert_near(found, alone(steps=STEPS)[0])


def test_sigterm_to_one_process_alone_stops_both(tmp_path, warm):
    pair = Pair(warm, tmp_path, SHARDED).wait_for_steps(3).signal(signal.SIGTERM, ranks=[1])
    status, output = pair.end()
    assert status != 0
    assert "exitcode  : 143" in output
    found, _, _ = Pair(warm, tmp_path, SHARDED).finish().result("job")
    assert_near(found, alone(steps=STEPS)[0])


def test_a_killed_sharded_pair_resumes_from_a_step_that_both_have(tmp_path, warm):
    """Killed twice, the second time with one process a save ahead of the other."""
    pair = Pair(warm, tmp_path, SHARDED).wait_for_steps(6).signal(signal.SIGKILL)
    assert pair.end()[0] != 0
    steps = {name.split(".")[0] for name in states(tmp_path)}
    # each process keeps two; a kill may fall between a third one's rename and the deletion
    assert 4 <= len(states(tmp_path)) <= 6
    assert 2 <= len(steps) <= 4
    max((tmp_path / "state").glob("step-*.1-of-2.safetensors")).unlink()
    pair = Pair(warm, tmp_path, SHARDED).wait_for_steps(12).signal(signal.SIGKILL)
    assert pair.end()[0] != 0
    newest = max((tmp_path / "state").glob("step-*.0-of-2.safetensors"))
    os.truncate(newest, newest.stat().st_size // 2)
    found, intact, lines = Pair(warm, tmp_path, SHARDED).finish().result("job")
    assert intact
    assert [step for step, _ in lines] == list(range(STEPS))
    assert_near(found, alone(steps=STEPS)[0])


def test_processes_without_a_common_state_do_not_go_different_ways(tmp_path, warm):
    """One process has a later state only, the other an earlier one: both begin anew, or refuse."""
    pair = Pair(warm, tmp_path, SHARDED).wait_for_steps(6)
    pair.launcher.send_signal(signal.SIGTERM)
    assert pair.end()[0] != 0
    earlier = min((tmp_path / "state").glob("step-*.0-of-2.safetensors"))
    later = max((tmp_path / "state").glob("step-*.1-of-2.safetensors"))
    earlier.unlink()
    later.unlink()
    assert len(states(tmp_path)) == 2
    again = Pair(warm, tmp_path, SHARDED)
    status, output = again.end(seconds=90)
    if status == 0:
        assert_near(again.result("job")[0], alone(steps=STEPS)[0])
    else:
        assert "delete the folder" in output


# a training resumes under another execution: what it was interrupted under, and what comes after
BOTH = {"with_state": True, "steps": STEPS, "batch": 12}
WAYS = {
    "two, sharded, then one": ({"sharding": True, "checkpointing": True}, 2, {}, 1),
    "one, then two, sharded": ({}, 1, {"sharding": True}, 2),
    "three, sharded, then two, sharded": (
        {"sharding": True, "micro_batch": 1}, 3, {"sharding": True}, 2,
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("way", "kind"),
    [*((way, kind) for way in WAYS for kind in ("leap", "elsa")),
     *(("three, sharded, then two, sharded", kind) for kind in WEIGHTS if kind != "elsa")],
)  # fmt: skip
def test_a_training_resumes_under_another_execution(tmp_path, warm, way, kind):
    before, processes, after, others = WAYS[way]
    kind = {"sequences_per_draw": 6} if kind == "leap" else {"kind": kind}
    pair = Pair(warm, tmp_path, {"job": {**before, **BOTH, **kind}}, processes).wait_for_steps(4)
    pair.launcher.send_signal(signal.SIGTERM)
    assert pair.end()[0] != 0
    step = states(tmp_path)[-1].split(".")[0]
    first = min((tmp_path / "state").glob(f"{step}.*.safetensors"))  # whose times are reported
    saved = load_file(first)["history"]
    assert 4 <= len(saved) < STEPS
    again = Pair(warm, tmp_path, {"job": {**after, **BOTH, **kind}}, others).finish()
    found, _, lines = again.result("job")
    assert [step for step, _ in lines] == list(range(STEPS))
    place = -1 if "kind" in kind else METRICS.index("seconds")
    times = [values["seconds"] for _, values in lines[: len(saved)]]
    assert times == saved[:, place].tolist(), "it began anew"
    assert_near(found, alone(**{**kind, "steps": STEPS, "batch": 12})[0])

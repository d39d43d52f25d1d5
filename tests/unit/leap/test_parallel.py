"""Real processes over gloo against one process with the same global batch."""

import inspect
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

import leap
from leap.methods.maskllm import MaskLLM
from leap.methods.patch import Patch
from leap.model.layers import prunable_linears
from leap.training.masks import METRICS
from tests.warm import TORCHRUN, write_program

pytestmark = pytest.mark.heavy

ROOT = Path(__file__).parents[3]

# odd numbers of rows, which two processes cannot halve
MODEL = {"hidden_size": 16, "intermediate_size": 25, "num_hidden_layers": 3, "vocab_size": 41,
         "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 16,
         "initializer_range": 0.2}  # fmt: skip
TRAINING = {"sparsity": 0.6, "steps": 20, "batch": 8, "sequences_per_draw": 2,
            "learning_rate": 3e-3, "alpha": [2.0, 6.0], "tau": [2.0, 0.5], "seed": 5}  # fmt: skip
# of a model with 20 inputs where the other has 25, which no pattern fits
WHATS = {
    "maskllm": MaskLLM(2, 4),
    "patch": Patch(8, 2, 4, joint=True),
    "tile": Patch(8, 2, 4, joint=False),
}
FITTING = {"intermediate_size": 20}
HOW = ("micro_batch", "sharding", "recompute", "checkpointing")


def chequered(model):
    """A 2:4 mask for every layer, another in each row than in the one above."""
    shapes = {name: linear.weight.shape for name, linear in prunable_linears(model).items()}
    return {
        name: (torch.arange(rows)[:, None] + torch.arange(columns)) % 2 == 0
        for name, (rows, columns) in shapes.items()
    }


WORKER = f"""
import json, os, sys
from pathlib import Path
import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM
import leap
from leap.states import checkpoint
from leap.distributed import parallel
from leap.execution import Execution
from leap.model.layers import prunable_linears
from leap.methods.maskllm import MaskLLM
from leap.methods.patch import Patch

{inspect.getsource(chequered)}
checkpoint._SAVING_SHARE = 1e9  # save before every step, whatever that costs
folder, jobs = Path(sys.argv[1]), json.loads(sys.argv[2])
parallel.start()
rank = parallel.rank()
(folder / f"pid-{{rank}}").write_text(str(os.getpid()))

def build(what):
    torch.manual_seed(0)
    size = {{**{MODEL}, **({FITTING} if what else {{}})}}
    return LlamaForCausalLM(LlamaConfig(**size)).eval()

blocks = torch.randint(3, 41, (9, 12), generator=torch.Generator().manual_seed(1))

def is_part(part, whole):  # whether these are some rows of a matrix, one after the other
    starts = range(len(whole) - len(part) + 1)
    return len(part) == 0 or any(torch.equal(part, whole[s : s + len(part)]) for s in starts)

for name, settings in jobs.items():
    lines = []
    progress = open(folder / f"progress-{{rank}}", "a")

    def report(step, values):
        lines.append([step, values])
        print(step, file=progress, flush=True)

    what = settings.pop("what", None)
    execution = Execution(**{{n: settings.pop(n) for n in {list(HOW)} if n in settings}})
    model = build(what)
    state = folder / "state" if settings.pop("with_state", False) else None
    prior = None
    if settings.pop("warm", False):
        prior = {{n: m.weight > 0 for n, m in prunable_linears(model).items()}}
    try:
        learned = leap.learn_masks(
            model, blocks, leap.Settings(**settings), prior, state=state, save_seconds=0,
            report=report, parameterisation={WHATS}.get(what), execution=execution,
            sparse=chequered(model) if what == "tile" else None,
        )
    except ValueError as error:
        (folder / f"{{name}}-{{rank}}.error").write_text(str(error))
        continue
    split = [id(m.weight) for m in prunable_linears(model).values()] if execution.sharding else []
    wanted = build(what)
    intact = all(
        p.requires_grad and (torch.equal(p, q) or id(p) in split and is_part(p, q))
        for p, q in zip(model.parameters(), wanted.parameters(), strict=True)
    )
    save_file(learned.logits, folder / f"{{name}}-{{rank}}.safetensors")
    (folder / f"{{name}}-{{rank}}.json").write_text(json.dumps([intact, lines]))
"""


def model_and_tokens(what):
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**{**MODEL, **(FITTING if what else {})})).eval()
    return model, torch.randint(3, 41, (9, 12), generator=torch.Generator().manual_seed(1))


def alone(warm=False, what=None, **changes):
    """The same training in this process."""
    model, blocks = model_and_tokens(what)
    prior = None
    if warm:
        prior = {n: m.weight > 0 for n, m in prunable_linears(model).items()}
    lines = []
    learned = leap.learn_masks(
        model, blocks, leap.Settings(**{**TRAINING, **changes}), prior,
        report=lambda step, values: lines.append([step, values]), parameterisation=WHATS.get(what),
        sparse=chequered(model) if what == "tile" else None,
    )  # fmt: skip
    return learned.logits, lines


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

    def end(self, seconds=240):
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
        """Logits, whether the model came out as it went in, and the reported lines."""
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
    "maskllm": {"what": "maskllm", "sparsity": 0.5, "weight_decay": 0.1},
    "maskllm_sharded": {"what": "maskllm", "sparsity": 0.5, "sharding": True, "recompute": True},
    "patch": {"what": "patch", "sparsity": 0.4},
    "tile": {"what": "tile", "sparsity": 0.4},
    "tile_sharded": {"what": "tile", "sparsity": 0.4, "sharding": True, "checkpointing": True},
    "patch_sharded": {"what": "patch", "sparsity": 0.4, "sharding": True, "checkpointing": True},
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory, warm):
    uneven = {
        "uneven": {"batch": 6},
        "uneven_draw": {"batch": 6, "sequences_per_draw": 3, "sharding": True},
    }
    return Pair(warm, tmp_path_factory.mktemp("pair"), {**uneven, **JOBS}).finish()


@pytest.fixture(scope="module")
def expected():
    whats = {
        name: {key: value for key, value in changes.items() if key not in HOW}
        for name, changes in JOBS.items()
    }
    return {name: alone(**what) for name, what in whats.items()}


def assert_near(found, wanted):
    assert list(found) == sorted(wanted)
    for name, logits in wanted.items():
        torch.testing.assert_close(found[name], logits, rtol=0, atol=1e-5, msg=name)


@pytest.mark.parametrize("name", JOBS)
def test_two_processes_learn_what_one_learns(pair, expected, name):
    logits, lines = expected[name]
    found, _, reported = pair.result(name)
    assert_near(found, logits)
    assert [step for step, _ in reported] == [step for step, _ in lines]
    for (step, values), (_, wanted) in zip(reported, lines, strict=True):
        assert list(values) == list(wanted)
        for key in values.keys() - {"seconds", "tokens_per_second"}:
            assert values[key] == pytest.approx(wanted[key], rel=1e-4, abs=1e-5), (step, key)


@pytest.mark.parametrize("name", JOBS)
def test_the_first_process_has_the_result_and_both_have_the_same_report(pair, name):
    (first, _, lines), (second, _, other) = (pair.result(name, rank) for rank in (0, 1))
    assert first and not second
    for (_, values), (_, others) in zip(lines, other, strict=True):
        for key in values.keys() - {"seconds", "tokens_per_second"}:
            assert values[key] == others[key]


@pytest.mark.parametrize("name", JOBS)
def test_the_weights_come_out_as_they_went_in(pair, name):
    assert all(pair.result(name, rank)[1] is True for rank in (0, 1))


def test_saving_memory_does_not_change_a_bit_of_a_sharded_training(pair):
    plain, lean = (pair.result(name)[0] for name in ("sharded", "sharded_lean"))
    assert all(torch.equal(plain[name], lean[name]) for name in plain)


def test_a_batch_that_cannot_be_shared_evenly_is_refused_everywhere(pair):
    for rank in (0, 1):
        message = (pair.folder / f"uneven-{rank}.error").read_text()
        assert message.startswith("batch / micro_batch is 3, which 2 processes cannot share")


def test_sharding_of_processes_that_cannot_share_a_draw_is_refused_everywhere(pair):
    for rank in (0, 1):
        message = (pair.folder / f"uneven_draw-{rank}.error").read_text()
        assert message.startswith("sequences_per_draw is 3, but with sharding the sequences of all")


def states(folder):
    return sorted(file.name for file in (folder / "state").glob("step-*.safetensors"))


STEPS = 18  # of a training that is interrupted
PLAIN = {"job": {"with_state": True, "steps": STEPS}}
SHARDED = {"job": {**PLAIN["job"], "sharding": True, "checkpointing": True}}


@pytest.mark.parametrize("jobs", [PLAIN, SHARDED], ids=["plain", "sharded"])
def test_a_terminated_pair_goes_on_where_it_was(tmp_path, warm, jobs):
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


def test_a_killed_sharded_pair_goes_on_from_a_step_that_both_have(tmp_path, warm):
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


# a training goes on under another execution: what it was interrupted under, and what comes after
WAYS = {
    "two, sharded, then one": (SHARDED["job"], 2, {}, 1),
    "one, then two, sharded": ({}, 1, {"sharding": True}, 2),
    "three, sharded, then two, sharded": (
        {"sharding": True, "micro_batch": 1}, 3, {"sharding": True}, 2,
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_training_goes_on_under_another_execution(tmp_path, warm, way):
    before, processes, after, others = way
    changes = {"with_state": True, "steps": STEPS, "batch": 12, "sequences_per_draw": 6}
    pair = Pair(warm, tmp_path, {"job": {**before, **changes}}, processes).wait_for_steps(4)
    pair.launcher.send_signal(signal.SIGTERM)
    assert pair.end()[0] != 0
    step = states(tmp_path)[-1].split(".")[0]
    first = min((tmp_path / "state").glob(f"{step}.*.safetensors"))  # whose times are reported
    saved = load_file(first)["history"]
    assert 4 <= len(saved) < STEPS
    found, _, lines = (
        Pair(warm, tmp_path, {"job": {**after, **changes}}, others).finish().result("job")
    )
    assert [step for step, _ in lines] == list(range(STEPS))
    place = METRICS.index("seconds")
    times = [values["seconds"] for _, values in lines[: len(saved)]]
    assert times == saved[:, place].tolist(), "it began anew"
    assert_near(found, alone(steps=STEPS, batch=12, sequences_per_draw=6)[0])

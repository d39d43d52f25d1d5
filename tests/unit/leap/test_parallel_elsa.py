"""ELSA in real processes over gloo, against one process with the same batch."""

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

from leap.methods.elsa import Settings, learn_weights
from tests.warm import TORCHRUN, write_program

pytestmark = pytest.mark.heavy

ROOT = Path(__file__).parents[3]

# odd numbers of rows, which two processes cannot halve
MODEL = {"hidden_size": 16, "intermediate_size": 25, "num_hidden_layers": 2, "vocab_size": 41,
         "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 16,
         "initializer_range": 0.2}  # fmt: skip
TRAINING = {"sparsity": 0.6, "steps": 20, "batch": 12, "learning_rate": 3e-3, "penalty": 0.02,
            "interval": 3, "seed": 5}  # fmt: skip

WORKER = f"""
import json, sys
from pathlib import Path
import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM
from leap.states import checkpoint
from leap.distributed import parallel
from leap.distributed import projection
from leap.methods.elsa import Settings, learn_weights
from leap.execution import Execution

checkpoint._SAVING_SHARE = 1e9  # save before every step, whatever that costs
folder, jobs = Path(sys.argv[1]), json.loads(sys.argv[2])
parallel.start()
rank = parallel.rank()
blocks = torch.randint(3, 41, (9, 12), generator=torch.Generator().manual_seed(1))

for name, settings in jobs.items():
    execution = Execution(**settings.pop("how", {{}}))
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**{MODEL})).eval()
    state = folder / "state" if settings.pop("with_state", False) else None
    lines, progress = [], open(folder / f"progress-{{rank}}", "a")

    def report(step, values):
        lines.append(values)
        print(step, file=progress, flush=True)

    try:
        found = learn_weights(
            model, blocks, Settings(**settings), execution=execution, state=state, save_seconds=0,
            report=report,
        )
    except ValueError as error:
        (folder / f"{{name}}-{{rank}}.error").write_text(str(error))
        continue
    save_file(dict(found.weights), folder / f"{{name}}-{{rank}}.weights")
    save_file(dict(found.masks), folder / f"{{name}}-{{rank}}.masks")
    (folder / f"{{name}}-{{rank}}.json").write_text(json.dumps(lines))

# equal scores lie on both sides of the border between the processes, and are kept in their order
score_OI = torch.ones(5, 4).index_fill(0, torch.tensor([1]), 2.0)
rows = slice(0, 3) if rank == 0 else slice(3, 5)
if parallel.world_size() == 2:
    kept = [projection.largest(score_OI[rows], keep, True).tolist() for keep in range(21)]
    (folder / f"tied-{{rank}}.json").write_text(json.dumps(kept))
"""


def alone(**changes):
    """The same training in this process, plainly."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**MODEL)).eval()
    blocks, lines = torch.randint(3, 41, (9, 12), generator=torch.Generator().manual_seed(1)), []
    settings = Settings(**{**TRAINING, **changes})
    found = learn_weights(model, blocks, settings, report=lambda _, values: lines.append(values))
    return found, lines


class Processes:
    """Some processes that do one training after another."""

    def __init__(self, warm, folder, jobs, count=2):
        self.folder = folder
        launcher = write_program(TORCHRUN, folder / "launch.py")
        *_, script = write_program(WORKER, folder / "worker.py")
        for file in folder.glob("progress-*"):
            file.unlink()
        jobs = {name: {**TRAINING, **changes} for name, changes in jobs.items()}
        environment = {**warm.environment(), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self.launcher = subprocess.Popen(
            [*launcher, "--standalone", "--nproc-per-node", str(count), script, str(folder),
             json.dumps(jobs)],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def stop_after(self, steps):
        """Terminate the launcher, as a scheduler does, once so many steps are done."""
        deadline, progress = time.monotonic() + 180, self.folder / "progress-0"
        while not progress.exists() or len(progress.read_text().splitlines()) < steps:
            assert self.launcher.poll() is None, self.launcher.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        self.launcher.send_signal(signal.SIGTERM)
        assert self.launcher.communicate(timeout=120) and self.launcher.returncode != 0

    def finish(self):
        output, _ = self.launcher.communicate(timeout=240)
        assert self.launcher.returncode == 0, output
        return self

    def result(self, name, rank=0):
        """Weights, masks and the reported lines."""
        lines = json.loads((self.folder / f"{name}-{rank}.json").read_text())
        tensors = (
            load_file(self.folder / f"{name}-{rank}.{kind}") for kind in ("weights", "masks")
        )
        return *tensors, lines


def assert_near(weights, masks, expected):
    assert set(weights) == set(masks) == set(expected.weights)
    for name, wanted in expected.weights.items():
        assert torch.equal(masks[name], expected.masks[name]), name
        torch.testing.assert_close(weights[name], wanted, rtol=0, atol=1e-5, msg=name)


JOBS = {
    "plain": {},
    "by_moment": {"projection": "moment"},
    "clipped_one_by_one": {"max_grad_norm": 0.15, "how": {"micro_batch": 1}},
    "sharded": {"how": {"sharding": True}},
    "sharded_by_moment": {"projection": "moment", "how": {"sharding": True}},
    "sharded_lean_clipped": {
        "max_grad_norm": 0.15,
        "how": {"sharding": True, "checkpointing": True, "micro_batch": 2},
    },
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory, warm):
    return Processes(warm, tmp_path_factory.mktemp("pair"), {**JOBS, "odd": {"batch": 5}}).finish()


@pytest.mark.parametrize("name", JOBS)
def test_two_processes_learn_what_one_learns(pair, name):
    what = {key: value for key, value in JOBS[name].items() if key != "how"}
    expected, expected_lines = alone(**what)
    weights, masks, lines = pair.result(name)
    assert_near(weights, masks, expected)
    assert all(not tensors for tensors in pair.result(name, 1)[:2]), "the first one has the result"
    for line, wanted in zip(lines, expected_lines, strict=True):
        for key in wanted.keys() - {"seconds", "tokens_per_second"}:
            assert line[key] == pytest.approx(wanted[key], rel=1e-4, abs=1e-6), key


def test_a_batch_that_cannot_be_shared_is_refused_everywhere(pair):
    for rank in (0, 1):
        message = (pair.folder / f"odd-{rank}.error").read_text()
        assert message.startswith("batch is 5, which 2 processes cannot share evenly")


def test_ties_are_kept_in_the_order_of_the_whole_matrix(pair):
    parts = [json.loads((pair.folder / f"tied-{rank}.json").read_text()) for rank in (0, 1)]
    second_row = range(4, 8)  # whose scores are larger
    order = [*second_row, *range(4), *range(8, 20)]
    for keep, (first, last) in enumerate(zip(*parts, strict=True)):
        found = [kept for row in (*first, *last) for kept in row]
        assert found == [place in order[:keep] for place in range(20)], keep


# what a training was interrupted under, and what it goes on under
WAYS = {
    "two, then two": ({}, 2, {}, 2),
    "two, sharded, then one": ({"sharding": True}, 2, {}, 1),
    "one, then two, sharded": ({}, 1, {"sharding": True}, 2),
    "three, sharded, then two, sharded": ({"sharding": True}, 3, {"sharding": True}, 2),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_training_goes_on_also_under_another_execution(tmp_path, warm, way):
    before, processes, after, others = way
    job = {"with_state": True, "steps": 20}
    Processes(warm, tmp_path, {"job": {**job, "how": before}}, processes).stop_after(4)
    weights, masks, lines = (
        Processes(warm, tmp_path, {"job": {**job, "how": after}}, others).finish().result("job")
    )
    assert len(lines) == 20
    assert_near(weights, masks, alone(steps=20)[0])

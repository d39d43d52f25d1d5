"""Trainings in processes of their own, killed and stopped at any moment, and taken up again."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from tests.warm import write_program

pytestmark = pytest.mark.heavy

ROOT = Path(__file__).parents[3]
STEPS = 60

TRAIN = f"""
import os, sys
import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM
import leap
from leap.states import checkpoint

checkpoint._SAVING_SHARE = 1e9  # save before every step, whatever that costs
print(os.getpid(), flush=True)
torch.manual_seed(0)
model = LlamaForCausalLM(
    LlamaConfig(hidden_size=32, intermediate_size=48, num_hidden_layers=2, vocab_size=60,
                num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=32)
)
blocks = torch.randint(3, 60, (20, 24), generator=torch.Generator().manual_seed(1))
settings = leap.Settings(
    sparsity=0.6, steps={STEPS}, batch=4, sequences_per_draw=2, learning_rate=1e-2, seed=3
)

def report(step, values):
    print(step, values["loss"], flush=True)

learned = leap.learn_masks(model, blocks, settings, state=__import__("pathlib").Path(sys.argv[1]),
                           save_seconds=0, report=report)
save_file(learned.logits, sys.argv[2])
"""


class Training:
    """A process that trains, with its state and its result in one folder."""

    def __init__(self, folder, warm):
        self.warm = warm
        self.state = folder / "state"
        self.result = folder / "logits.safetensors"
        self.command = write_program(TRAIN, folder / "train.py")
        self.process = self.pid = None
        self.lines = []

    def start(self):
        environment = {**self.warm.environment(), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self.lines = []
        self.process = subprocess.Popen(
            [*self.command, str(self.state), str(self.result)], env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.pid = int(self.process.stdout.readline())
        return self

    def wait_for_lines(self, count):
        """Until so many steps are reported; the process is then inside the training."""
        while len(self.lines) < count:
            line = self.process.stdout.readline()
            assert line, self.process.stderr.read()
            self.lines.append(line)
        return self

    def end(self, number=None):
        """Send the signal, if any, and wait; returns the exit status and what was printed."""
        if number is not None:
            os.kill(self.pid, number)
        output, errors = self.process.communicate(timeout=120)
        self.lines += output.splitlines(keepends=True)
        return self.process.returncode, errors

    def finish(self):
        status, errors = self.start().end()
        assert status == 0, errors
        return load_file(self.result)

    def states(self):
        return sorted(self.state.glob("step-*.safetensors"))

    def remains(self):
        return list(self.state.glob(".*.part"))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, warm):
    training = Training(tmp_path_factory.mktemp("undisturbed"), warm)
    logits = training.finish()
    return logits, training.lines


def assert_the_same(training, undisturbed):
    """Run to the end: same logits, bit for bit, and the same losses of all steps."""
    logits, lines = undisturbed
    found = training.finish()
    assert found.keys() == logits.keys()
    assert all(torch.equal(found[name], logits[name]) for name in logits)
    assert training.lines == lines
    assert len(lines) == STEPS


def sound(file):
    try:
        load_file(file)
    except SafetensorError:
        return False
    return True


def test_kills_at_random_moments_do_not_change_a_bit(tmp_path, undisturbed, warm):
    dice = random.Random(7)
    training = Training(tmp_path, warm)
    for lines in (2, 10, 18, 28):
        training.start().wait_for_lines(lines)
        time.sleep(dice.uniform(0, 0.05))
        status, _ = training.end(signal.SIGKILL)
        assert status == -signal.SIGKILL
        # two are kept; a kill may fall between the third one's rename and the deletion
        assert len(training.states()) <= 3
        assert all(sound(file) for file in training.states())
    assert training.states()
    assert not training.result.exists()
    assert_the_same(training, undisturbed)


def test_kills_in_the_middle_of_a_save_do_not_change_a_bit(tmp_path, undisturbed, warm):
    training = Training(tmp_path, warm)
    inside = 0
    for lines in (1, 6, 12, 18, 24, 30):
        training.start().wait_for_lines(lines)
        before = set(training.remains())
        while training.process.poll() is None and not set(training.remains()) - before:
            pass
        status, _ = training.end(signal.SIGKILL)
        assert status == -signal.SIGKILL
        assert all(sound(file) for file in training.states())
        inside += bool(set(training.remains()) - before)
        if inside == 3:
            break
    assert inside, "no kill hit a save"
    assert_the_same(training, undisturbed)


@pytest.mark.parametrize("lines", [1, 20])
def test_sigterm_saves_the_step_that_was_reached_and_exits_with_143(
    tmp_path, undisturbed, warm, lines
):
    training = Training(tmp_path, warm)
    status, errors = training.start().wait_for_lines(lines).end(signal.SIGTERM)
    assert status == 143, errors
    assert "Traceback" not in errors
    assert not training.result.exists()
    assert training.states()[-1].name == f"step-{len(training.lines):08d}.whole.safetensors"
    assert_the_same(training, undisturbed)


def test_sigterm_and_kill_may_follow_one_another(tmp_path, undisturbed, warm):
    training = Training(tmp_path, warm)
    assert training.start().wait_for_lines(6).end(signal.SIGTERM)[0] == 143
    assert training.start().wait_for_lines(15).end(signal.SIGKILL)[0] == -signal.SIGKILL
    assert training.start().wait_for_lines(25).end(signal.SIGTERM)[0] == 143
    assert_the_same(training, undisturbed)

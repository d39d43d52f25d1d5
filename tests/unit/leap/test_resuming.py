"""Interrupted trainings of every learned method end in the very same bits when they resume."""

import contextlib
import os
import signal
import threading

import pytest
import torch
from safetensors.torch import load_file

import leap
from leap.model.layers import prunable_linears
from leap.states.folder import fingerprint
from tests.unit.leap import tiny
from tests.unit.leap.tiny import Stopped, equal_bits, learned, llama, settings_of, tokens

ALL = ["leap", "2:4", "tile", "joint", *tiny.WEIGHTS]
STEPS = 12
TIMES = ("seconds", "tokens_per_second")


class Run:
    """A training that may stop after a step: its tensors, if it ended, and its reports."""

    def __init__(self, folder, stop_after=None, kind="leap", act=None, **changed):
        self.reported, self.found = [], None

        def report(step, values):
            self.reported.append((step, values))
            if step == stop_after:
                if act is None:
                    raise Stopped
                act()

        with contextlib.suppress(Stopped):
            self.found = learned(kind, state=folder, save_seconds=0, report=report, **changed)

    def values(self):
        """All reported metrics but the times."""
        return [{k: v for k, v in line.items() if k not in TIMES} for _, line in self.reported]


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


def states(folder):
    return sorted(file.name for file in folder.iterdir())


def state_of(step):
    return f"step-{step:08d}.whole.safetensors"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The same trainings without an interruption."""
    return {kind: Run(None, kind=kind) for kind in ALL}


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("stop_after", [0, 1, 5, 11])
def test_a_resumed_training_ends_with_the_very_same_bits(
    tmp_path, every_step, undisturbed, stop_after, kind
):
    first = Run(tmp_path / "state", stop_after, kind)
    assert first.found is None
    # the state before a step is saved when the step begins
    kept = [step for step in (stop_after - 1, stop_after) if step > 0]
    assert states(tmp_path / "state") == [state_of(step) for step in kept] if kept else True
    again = Run(tmp_path / "state", kind=kind)
    assert equal_bits(again.found, undisturbed[kind].found)
    assert again.values() == undisturbed[kind].values()
    assert [step for step, _ in again.reported] == list(range(STEPS))
    # steps before the interruption are reported once more as they were, times included
    assert again.reported[:stop_after] == first.reported[:stop_after]


def test_many_interruptions_change_nothing(tmp_path, every_step, undisturbed):
    for stop_after in (2, 3, 4, 4, 7, 9, 11):
        run = Run(tmp_path, stop_after)
        assert [step for step, _ in run.reported] == list(range(stop_after + 1))
    assert equal_bits(Run(tmp_path).found, undisturbed["leap"].found)


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty"])
def test_a_damaged_newest_state_costs_a_step_and_nothing_else(
    tmp_path, every_step, undisturbed, caplog, damage
):
    Run(tmp_path, stop_after=6)
    file = max(tmp_path.iterdir())
    content = bytearray(file.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 4
    file.write_bytes({"truncate": content[: len(content) // 3], "empty": b""}.get(damage, content))
    assert equal_bits(Run(tmp_path).found, undisturbed["leap"].found)
    assert "an older state is used" in caplog.text
    assert file.name in caplog.text


def test_a_finished_training_leaves_its_state_to_the_caller(tmp_path, every_step, undisturbed):
    Run(tmp_path)
    assert states(tmp_path) == [state_of(10), state_of(11)]
    assert equal_bits(Run(tmp_path).found, undisturbed["leap"].found)


PARTS = {
    "leap": "logits exp_avg exp_avg_sq", "elsa": "weights exp_avg exp_avg_sq z u",
    "elsa-all": "weights exp_avg exp_avg_sq z u", "gmp": "weights exp_avg exp_avg_sq mask",
    "finetune": "weights exp_avg exp_avg_sq", "distil": "weights exp_avg exp_avg_sq",
}  # fmt: skip


@pytest.mark.parametrize("kind", PARTS)
def test_a_state_holds_parameters_moments_buffers_and_metrics(tmp_path, every_step, kind):
    run, model = Run(tmp_path, stop_after=4, kind=kind), tiny.model_for(kind)
    saved = load_file(max(tmp_path.iterdir()))
    names, parts = list(prunable_linears(model)), PARTS[kind].split()
    wanted = {f"{part}/{name}" for part in parts for name in names}
    if kind == "elsa-all":
        others = {n for n, _ in model.named_parameters()} - {f"{name}.weight" for name in names}
        wanted |= {f"{part}/{name}" for part in parts[:3] for name in others}
    assert set(saved) == {"history", *wanted}
    for key in wanted:
        assert saved[key].dtype == (torch.bool if key.startswith("mask") else torch.float32)
        assert saved[key].abs().sum() > 0 if saved[key].is_floating_point() else saved[key].any()
    column = list(run.reported[0][1]).index("lm_loss")
    losses = [values["lm_loss"] for _, values in run.reported[:4]]
    assert saved["history"][:, column].tolist() == losses


def test_states_are_saved_seconds_apart_and_not_more_often(tmp_path):
    learned("leap", state=tmp_path, save_seconds=3600)
    assert states(tmp_path) == []


@pytest.mark.parametrize("kind", ["leap", *tiny.WEIGHTS])
def test_sigterm_saves_and_exits_with_its_status(tmp_path, undisturbed, kind):
    handler, model = signal.getsignal(signal.SIGTERM), tiny.model_for(kind)
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(SystemExit) as raised:
        Run(tmp_path, stop_after=4, kind=kind, act=terminate, model=model)
    assert raised.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is handler
    assert states(tmp_path)[-1] == state_of(5)
    if kind == "leap":  # which gives the model back
        assert equal_bits(model.state_dict(), weights)
        assert all(parameter.requires_grad for parameter in model.parameters())
    assert equal_bits(Run(tmp_path, kind=kind).found, undisturbed[kind].found)


def test_sigterm_before_the_first_step_is_heeded(tmp_path, undisturbed):
    """It arrives in a forward pass of the first step, between two micro-batches."""
    model = llama()
    hook = model.register_forward_hook(lambda *_: terminate())
    with pytest.raises(SystemExit) as raised:
        Run(tmp_path, model=model)
    hook.remove()
    assert raised.value.code == 143
    assert equal_bits(Run(tmp_path, model=model).found, undisturbed["leap"].found)


def test_sigterm_without_a_state_folder_still_ends_the_process():
    with pytest.raises(SystemExit) as raised:
        Run(None, stop_after=2, act=terminate)
    assert raised.value.code == 143


def test_a_training_in_another_thread_resumes_too(tmp_path, every_step, undisturbed):
    Run(tmp_path, stop_after=5)
    runs = []
    thread = threading.Thread(target=lambda: runs.append(Run(tmp_path)))
    thread.start()
    thread.join()
    assert equal_bits(runs[0].found, undisturbed["leap"].found)


def variations():
    """Everything that decides the result, changed one at a time."""
    model, other_norm = llama(), llama()
    model.model.layers[1].mlp.up_proj.weight.data[3, 4] += 1e-6
    other_norm.model.norm.weight.data[0] += 1e-6
    blocks = tokens()
    blocks[6, 11] += 1
    prior = {name: torch.ones(shape) > 0 for name, shape in tiny.shapes(llama()).items()}
    flipped = {name: mask.clone() for name, mask in prior.items()}
    flipped["model.layers.1.mlp.down_proj"][0, 0] = False
    changes = {"seed": 6, "learning_rate": 1.0001e-2, "steps": 13, "sequences_per_draw": 1}
    return {
        "weight": {"model": model},
        "norm": {"model": other_norm},
        "bfloat16": {"model": llama().bfloat16()},
        "token": {"blocks": blocks},
        "order": {"blocks": tokens().flip(0)},
        "shape": {"blocks": tokens().view(14, 6)},
        "prior": {"prior": prior},
        "flipped": {"prior": flipped},
        **{name: {"settings": settings_of("leap", **{name: v})} for name, v in changes.items()},
    }


def test_fingerprints_differ_with_everything_that_decides_the_result():
    def of(model=None, blocks=None, prior=None, settings=None, sparse=None, what="Leap"):
        masks = {"prior": prior, "sparse": sparse}
        blocks = tokens() if blocks is None else blocks
        return fingerprint(model or llama(), blocks, masks, settings or settings_of("leap"), what)

    changes = variations()
    changes |= {"sparse": {"sparse": changes["prior"]["prior"]}, "what": {"what": "MaskLLM"}}
    prints = {of(), *(of(**change) for change in changes.values())}
    assert len(prints) == len(changes) + 1 and of() in prints


@pytest.mark.parametrize("change", ["weight", "token", "prior", "learning_rate"])
def test_the_state_of_another_training_is_refused_and_kept(tmp_path, every_step, change):
    Run(tmp_path, stop_after=3)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(ValueError, match=r"other settings, another model.*or delete this folder"):
        Run(tmp_path, **variations()[change])
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_the_state_of_another_method_is_refused(tmp_path, every_step):
    Run(tmp_path, 3, "tile")
    with pytest.raises(ValueError, match="unfinished training of other settings"):
        Run(tmp_path, kind="joint")


OTHERS = {
    "penalty": ("elsa", {"penalty": 0.06}),
    "decay": ("elsa", {"decay": "linear"}),
    "distil": ("finetune", {"distil": 0.1}),
    "as many steps, on other text": ("finetune", {"steps": 24, "mask_share": 0.5}),
    "ramp": ("gmp", {"ramp": 0.6}),
    "masks": ("finetune", {"masks": tiny.exact_masks(llama(), seed=3)}),
    "start": ("finetune", {"start": {}}),
}


@pytest.mark.parametrize(("kind", "change"), OTHERS.values(), ids=OTHERS)
def test_the_state_of_another_training_of_weights_is_refused(tmp_path, every_step, kind, change):
    Run(tmp_path, 3, kind)
    if not change.keys() & {"masks", "start"}:
        change = {"settings": settings_of(kind, **change)}
    with pytest.raises(ValueError, match="unfinished training of other settings"):
        Run(tmp_path, kind=kind, **change)


def test_no_state_is_written_unless_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    leap.learn_masks(llama(), tokens(), settings_of("leap", steps=2), save_seconds=0)
    assert states(tmp_path) == []

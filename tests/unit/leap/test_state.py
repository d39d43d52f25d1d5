"""Unfinished trainings on disk: damage, foreign states, and taking a training up again."""

import contextlib
import dataclasses
import math
import os
import signal
import threading

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

import leap
from leap.model.layers import prunable_linears
from leap.settings import Settings
from leap.states.folder import StateFolder, fingerprint

TRAINING = Settings(
    sparsity=0.6, steps=12, batch=2, sequences_per_draw=1, learning_rate=1e-2, alpha=(2.0, 6.0),
    tau=(2.0, 0.5), seed=5,
)  # fmt: skip


def llama(seed=0):
    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(hidden_size=16, intermediate_size=24, num_hidden_layers=2, vocab_size=40,
                    num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=16)
    ).eval()  # fmt: skip


def tokens():
    return torch.randint(3, 40, (7, 12), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def every_step(monkeypatch):
    """With `save_seconds=0` a state is saved before every step, whatever that costs."""
    monkeypatch.setattr("leap.states.checkpoint._SAVING_SHARE", 1e9)


class Stopped(Exception):
    """Raised by a report in place of a power cut."""


class Run:
    """One call of learn_masks that writes down what was reported, and may stop after a step."""

    def __init__(self, folder, stop_after=None, settings=TRAINING, act=None, **changed):
        self.reported = []
        given = {"model": llama(), "blocks_ST": tokens(), "prior": None, **changed}
        self.logits = None

        def report(step, values):
            self.reported.append((step, values))
            if step == stop_after:
                if act is None:
                    raise Stopped
                act()

        with contextlib.suppress(Stopped):
            self.logits = leap.learn_masks(
                settings=settings, state=folder, save_seconds=0, report=report, **given
            ).logits


def equal_bits(one, other):
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and torch.equal(one[name], other[name]) for name in one
    )


def states(folder):
    return sorted(file.name for file in folder.iterdir())


def newest_file(folder):
    return max(folder.glob("step-*.safetensors"))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return leap.learn_masks(llama(), tokens(), TRAINING).logits


def tensors(value=1.0):
    value = float(value)
    return {"a": torch.full((3, 2), value), "b": torch.tensor(value), "empty": torch.zeros(0, 4)}


def newest(folder, below=math.inf, rank=0, processes=1):
    """The newest of the states that so many processes saved which is not damaged."""
    for step, parts in folder.steps():
        if step < below and parts == processes:
            found = folder.read(step, rank, processes)
            if found is not None:
                return step, found
    return None


def test_a_state_comes_back_bit_for_bit(tmp_path):
    saved = {
        "float32": torch.tensor([[0.0, -0.0], [float("inf"), 1e-45]]),
        "bfloat16": torch.randn(5).bfloat16(),
        "history": torch.randn(3, 2, dtype=torch.float64).t(),  # not contiguous
        "empty": torch.zeros(0, 7),
        "scalar": torch.tensor(4),
    }
    StateFolder(tmp_path, "f").save(17, saved)
    step, found = newest(StateFolder(tmp_path, "f"))
    assert step == 17
    assert equal_bits(found, saved)
    assert {name: t.dtype for name, t in found.items()} == {n: t.dtype for n, t in saved.items()}


def test_an_empty_or_missing_folder_has_no_state(tmp_path):
    assert newest(StateFolder(tmp_path, "f")) is None
    assert newest(StateFolder(tmp_path / "missing", "f")) is None


def test_only_the_two_newest_are_kept(tmp_path):
    folder = StateFolder(tmp_path, "f")
    for step in (1, 2, 9, 10, 100):
        folder.save(step, tensors(step))
    assert states(tmp_path) == [f"step-{step:08d}.whole.safetensors" for step in (10, 100)]
    assert newest(folder)[0] == 100
    assert newest(folder, below=100)[0] == 10
    assert newest(folder, below=10) is None


def test_parts_of_several_processes_are_a_state_where_all_are_there(tmp_path):
    folder = StateFolder(tmp_path, "f")
    for step in (3, 4, 5):
        folder.save(step, tensors(step), 0, 2)
    assert folder.steps() == [], "the other process has none"
    folder.save(3, tensors(-3), 1, 2)
    assert folder.steps() == [], "the first one's is gone"
    for step in (4, 5):
        folder.save(step, tensors(-step), 1, 2)
    assert folder.steps() == [(5, 2), (4, 2)]
    assert float(newest(folder, rank=0, processes=2)[1]["b"]) == 5
    assert float(newest(folder, rank=1, processes=2)[1]["b"]) == -5
    assert len(states(tmp_path)) == 4


def test_states_of_other_processes_go_when_two_of_ones_own_are_there(two):
    two.save(8, tensors(-8), 0, 2)
    two.save(8, tensors(-8), 1, 2)
    assert two.steps() == [(8, 2), (8, 1), (4, 1)]
    two.save(9, tensors(-9), 0, 2)
    two.save(9, tensors(-9), 1, 2)
    assert two.steps() == [(9, 2), (8, 2)]


@pytest.fixture
def two(tmp_path):
    """A folder with the states of steps 4 and 8."""
    folder = StateFolder(tmp_path, "f" * 64)
    for step in (4, 8):
        folder.save(step, tensors(step))
    return folder


def test_a_truncated_state_is_skipped_at_any_length(two):
    file = newest_file(two.folder)
    content = file.read_bytes()
    for length in range(len(content)):
        file.write_bytes(content[:length])
        step, found = newest(two)
        assert step == 4, length
        assert float(found["b"]) == 4
    file.write_bytes(content)
    assert newest(two)[0] == 8


def flips(two, places):
    """What becomes of the newest state, for one flipped bit after another: those not noticed."""
    file = newest_file(two.folder)
    content = file.read_bytes()
    wrong = []
    for place in places(len(content), 8 + int.from_bytes(content[:8], "little")):
        damaged = bytearray(content)
        damaged[place] ^= 1 << (place % 8)
        file.write_bytes(damaged)
        try:
            step, found = newest(two)
        except Exception as error:
            wrong.append((place, f"{type(error).__name__}: {error}"))
            continue
        if step != 4 and not (step == 8 and equal_bits(found, tensors(8))):
            wrong.append((place, f"step {step} with other tensors"))
    return wrong


def test_a_flipped_bit_in_the_numbers_is_noticed(two):
    assert flips(two, lambda length, data: range(data, length)) == []


def test_a_flipped_bit_in_the_header_is_damage_and_not_another_training(two):
    wrong = flips(two, lambda length, data: range(data))
    assert wrong == [], f"{len(wrong)} flips, the first {wrong[0]}"


@pytest.mark.parametrize(
    ("right", "wrong"), [(b'"F32"', b'"I32"'), (b"[3,2]", b"[2,3]"), (b"[0,4]", b"[0,5]")]
)
def test_a_damaged_type_or_shape_is_noticed(two, right, wrong):
    file = newest_file(two.folder)
    content = file.read_bytes()
    assert right in content
    file.write_bytes(content.replace(right, wrong))
    assert newest(two)[0] == 4


def test_when_all_states_are_damaged_there_is_none(two):
    for file in two.folder.iterdir():
        file.write_bytes(file.read_bytes()[:-1])
    assert newest(two) is None


def test_a_new_state_is_never_given_up_for_damaged_ones_of_later_steps(two):
    """After a fall-back training comes to steps below those of the damaged files."""
    for file in two.folder.iterdir():
        file.write_bytes(b"damaged")
    for step in (1, 2, 3):
        two.save(step, tensors(step))
        found = newest(two)
        assert found is not None, f"the state of step {step} was deleted as it was written"
        assert found[0] == step


@pytest.mark.parametrize("damaged", [False, True], ids=["sound", "damaged"])
def test_a_new_state_keeps_its_predecessor_though_a_later_one_lies_about(two, damaged):
    """Sound ones lie about where another process has lost its own and both fell back."""
    if damaged:
        newest_file(two.folder).write_bytes(b"damaged")
    two.save(5, tensors(5))
    two.save(6, tensors(6))
    for step in (6, 5):
        found = newest(two, below=step + 1)
        assert found is not None, f"the state of step {step} is gone"
        assert found[0] == step


def test_remains_of_an_interrupted_save_are_no_state(two):
    remains = two.folder / ".step-00000012.whole.safetensors.part"
    remains.write_bytes(newest_file(two.folder).read_bytes()[:50])
    assert newest(two)[0] == 8
    two.save(12, tensors(12))
    assert newest(two)[0] == 12
    assert not remains.exists()


def test_the_state_of_another_training_is_refused(two):
    with pytest.raises(ValueError, match="unfinished training of other settings, another model"):
        newest(StateFolder(two.folder, "e" * 64))


def test_a_file_without_metadata_is_refused_or_skipped(two):
    save_file(tensors(8), newest_file(two.folder))
    try:
        assert newest(two)[0] == 4
    except ValueError as error:
        assert "delete this folder" in str(error)


def test_clearing_deletes_the_folder(two):
    two.clear()
    assert not two.folder.exists()
    two.clear()


def variations():
    """Everything that decides the result, changed one at a time."""
    model = llama()
    model.model.layers[1].mlp.up_proj.weight.data[3, 4] += 1e-6
    other_norm = llama()
    other_norm.model.norm.weight.data[0] += 1e-6
    blocks = tokens()
    blocks[6, 11] += 1
    prior = {n: torch.ones_like(m.weight) > 0 for n, m in prunable_linears(model).items()}
    flipped = {name: mask.clone() for name, mask in prior.items()}
    flipped["model.layers.1.mlp.down_proj"][0, 0] = False
    return {
        "weight": {"model": model},
        "norm": {"model": other_norm},
        "bfloat16": {"model": llama().bfloat16()},
        "token": {"blocks_ST": blocks},
        "order": {"blocks_ST": tokens().flip(0)},
        "shape": {"blocks_ST": tokens().view(14, 6)},
        "prior": {"prior": prior},
        "flipped": {"prior": flipped},
        "seed": {"settings": dataclasses.replace(TRAINING, seed=6)},
        "rate": {"settings": dataclasses.replace(TRAINING, learning_rate=1.0001e-2)},
        "steps": {"settings": dataclasses.replace(TRAINING, steps=13)},
        "draws": {"settings": dataclasses.replace(TRAINING, sequences_per_draw=2)},
    }


def test_fingerprints_differ_with_everything_that_decides_the_result():
    def of(model=None, blocks_ST=None, prior=None, settings=TRAINING, sparse=None, kind="Leap"):
        blocks_ST = tokens() if blocks_ST is None else blocks_ST
        masks = {"prior": prior, "sparse": sparse}
        return fingerprint(model or llama(), blocks_ST, masks, settings, kind)

    changes = variations()
    changes["sparse"] = {"sparse": changes["prior"]["prior"]}
    changes["kind"] = {"kind": "MaskLLM"}
    prints = {name: of(**change) for name, change in changes.items()}
    prints["as it was"] = of()
    assert len(set(prints.values())) == len(prints)
    assert prints["as it was"] == of()


@pytest.mark.parametrize("change", ["weight", "token", "prior", "rate"])
def test_another_training_does_not_go_on_with_this_ones_state(tmp_path, every_step, change):
    Run(tmp_path, stop_after=3)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(ValueError, match=r"other settings, another model.*or delete this folder"):
        Run(tmp_path, **variations()[change])
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize("stop_after", [0, 1, 5, 11])
def test_a_training_taken_up_again_ends_with_the_very_same_bits(
    tmp_path, every_step, undisturbed, stop_after
):
    first = Run(tmp_path / "state", stop_after)
    # the state before a step is saved when the step begins
    kept = [step for step in (stop_after - 1, stop_after) if step > 0]
    found = states(tmp_path / "state") if kept else []
    assert found == [f"step-{step:08d}.whole.safetensors" for step in kept]
    second = Run(tmp_path / "state")
    assert equal_bits(second.logits, undisturbed)
    assert [step for step, _ in second.reported] == list(range(12))
    # steps before the interruption are reported once more as they were, times included
    assert second.reported[:stop_after] == first.reported[:stop_after]


def test_many_interruptions_change_nothing(tmp_path, every_step, undisturbed):
    for stop_after in (2, 3, 4, 4, 7, 9, 11):
        run = Run(tmp_path, stop_after)
        assert [step for step, _ in run.reported] == list(range(stop_after + 1))
    assert equal_bits(Run(tmp_path).logits, undisturbed)


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty"])
def test_a_damaged_newest_state_costs_a_step_and_nothing_else(
    tmp_path, every_step, undisturbed, caplog, damage
):
    Run(tmp_path, stop_after=6)
    file = newest_file(tmp_path)
    content = bytearray(file.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 4
    file.write_bytes({"truncate": content[: len(content) // 3], "empty": b""}.get(damage, content))
    again = Run(tmp_path)
    assert equal_bits(again.logits, undisturbed)
    assert "an older state is used" in caplog.text
    assert file.name in caplog.text


def test_a_finished_training_leaves_its_state_to_the_caller(tmp_path, every_step, undisturbed):
    Run(tmp_path)
    assert states(tmp_path) == [f"step-{step:08d}.whole.safetensors" for step in (10, 11)]
    again = Run(tmp_path)
    assert equal_bits(again.logits, undisturbed)


def test_the_state_holds_logits_both_moments_and_the_metrics(tmp_path, every_step):
    run = Run(tmp_path, stop_after=4)
    saved = load_file(newest_file(tmp_path))
    names = list(prunable_linears(llama()))
    parts = [f"{part}/{name}" for part in ("logits", "exp_avg", "exp_avg_sq") for name in names]
    assert set(saved) == {"history", *parts}
    assert saved["history"][:, 0].tolist() == [values["loss"] for _, values in run.reported[:4]]
    assert all(saved[part].abs().sum() > 0 for part in parts)


def test_states_are_saved_seconds_apart_and_not_more_often(tmp_path):
    learned = leap.learn_masks(llama(), tokens(), TRAINING, state=tmp_path, save_seconds=3600)
    assert len(learned.logits) == 14
    assert states(tmp_path) == []


def test_sigterm_saves_and_exits_with_its_status(tmp_path, undisturbed):
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as raised:
        Run(tmp_path, stop_after=4, act=lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert raised.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is handler
    assert states(tmp_path)[-1] == "step-00000005.whole.safetensors"
    assert equal_bits(Run(tmp_path).logits, undisturbed)


def test_sigterm_before_the_first_step_is_heeded(tmp_path, undisturbed):
    """It arrives in a forward pass of the first step, between two micro-batches."""
    model = llama()
    hook = model.register_forward_hook(lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit) as raised:
        Run(tmp_path, model=model)
    hook.remove()
    assert raised.value.code == 143
    assert equal_bits(Run(tmp_path, model=model).logits, undisturbed)


def test_sigterm_without_a_state_folder_still_ends_the_process():
    with pytest.raises(SystemExit) as raised:
        Run(None, stop_after=2, act=lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert raised.value.code == 143


def test_a_stopped_training_gives_the_model_back(tmp_path):
    model = llama()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(SystemExit):
        Run(
            tmp_path, stop_after=2, model=model,
            act=lambda: os.kill(os.getpid(), signal.SIGTERM),
        )  # fmt: skip
    assert equal_bits(model.state_dict(), before)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_training_in_another_thread_can_be_taken_up_too(tmp_path, every_step, undisturbed):
    Run(tmp_path, stop_after=5)
    runs = []
    thread = threading.Thread(target=lambda: runs.append(Run(tmp_path)))
    thread.start()
    thread.join()
    assert equal_bits(runs[0].logits, undisturbed)

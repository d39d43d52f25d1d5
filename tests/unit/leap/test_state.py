"""States of unfinished trainings on disk: completeness, damage, foreign states."""

import math

import pytest
import torch
from safetensors.torch import save_file

from leap.states.folder import StateFolder
from tests.unit.leap.tiny import equal_bits


def states(folder):
    return sorted(file.name for file in folder.iterdir())


def newest_file(folder):
    return max(folder.glob("step-*.safetensors"))


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


def test_a_flipped_bit_anywhere_is_damage_and_not_another_training(two):
    file = newest_file(two.folder)
    content = file.read_bytes()
    wrong = []
    for place in range(len(content)):
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

"""Ways to compute a training: the fastest first, each even, and what is set is kept."""

import pytest

from leap.execution import Execution, micro_batch_of
from leap_suite.stages import execution

LEAP = {"batch": 16, "sequences_per_draw": 8}


def ways(monkeypatch, values, wanted=(), *, processes=1, device="cuda", implementation="leap"):
    monkeypatch.setattr(execution, "choose_device", lambda: device)
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    config = {"methods": {"mine": values}, "execution": dict(wanted)}
    return execution.candidates(implementation, "mine", config)


def described(found):
    """Micro-batches by what is saved, in order."""
    names = ("recompute", "sharding", "checkpointing")
    steps = {}
    for way in found:
        saved = " ".join(name for name in names if getattr(way, name))
        steps.setdefault(saved, []).append(way.micro_batch)
    return steps


def test_micro_batches_shrink_before_memory_is_saved(monkeypatch):
    sizes = [8, 4, 2, 1]
    assert described(ways(monkeypatch, LEAP)) == {"": sizes, "checkpointing": sizes}
    # MaskLLM and PATCH keep masks for the backward pass
    assert described(ways(monkeypatch, LEAP, implementation="maskllm")) == {
        "": sizes, "recompute": sizes, "recompute checkpointing": sizes,
    }  # fmt: skip
    assert described(ways(monkeypatch, {"batch": 6}, implementation="elsa")) == {
        "": [6, 3, 2, 1], "checkpointing": [6, 3, 2, 1],
    }  # fmt: skip


def test_several_gpus_share_evenly_and_shard_before_they_recompute(monkeypatch):
    found = ways(monkeypatch, LEAP, processes=4)  # 16 sequences: four each, eight of a draw
    assert described(found) == {
        "": [4, 2, 1], "sharding": [2, 1], "sharding checkpointing": [2, 1],
    }  # fmt: skip
    assert all(micro_batch_of(way, 4, 16, 8) == way.micro_batch for way in found)


def test_what_is_set_is_kept(monkeypatch):
    fixed = {"micro_batch": 2, "checkpointing": True, "recompute": "auto"}
    assert ways(monkeypatch, LEAP, fixed) == [Execution(2, checkpointing=True)]
    assert described(ways(monkeypatch, LEAP, {"sharding": False}, processes=4)) == {
        "": [4, 2, 1], "checkpointing": [4, 2, 1],
    }  # fmt: skip


def test_an_uneven_split_is_refused(monkeypatch):
    with pytest.raises(ValueError, match=r"draw is 8, but with sharding .* all 3 processes"):
        ways(monkeypatch, LEAP, {"sharding": True}, processes=3)


def test_a_cpu_has_the_fastest_way_alone(monkeypatch):
    assert ways(monkeypatch, LEAP, device="cpu") == [Execution(8)]
    assert ways(monkeypatch, LEAP, {"checkpointing": True}, device="cpu") == [
        Execution(8, checkpointing=True)
    ]

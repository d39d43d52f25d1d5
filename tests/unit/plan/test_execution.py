"""The choice of an execution: it fits, it is the cheapest, and a refusal says what would do."""

import itertools
import re
from dataclasses import replace

import pytest

from leap.execution import Execution
from suite.plan.cost.execution import TOGETHER, USABLE, Training, choose
from suite.plan.cost.shapes import MODELS
from suite.plan.cost.step import step_seconds
from suite.plan.cost.training_memory import gate_of

GIGABYTES = (24, 40, 80)
PROCESSES = range(1, 9)
TRAININGS = {
    name: Training(shape.sizes, batch=256, together=8, length=4096)
    for name, shape in MODELS.items()
}


def chosen_or_none(training, processes, gigabytes, **wanted):
    try:
        return choose(training, processes, gigabytes * 1e9, wanted)
    except ValueError:
        return None


@pytest.mark.parametrize("name", MODELS)
def test_what_is_chosen_fits_and_more_memory_is_never_slower(name):
    training = TRAININGS[name]
    for processes in PROCESSES:
        before = float("inf")
        for gigabytes in GIGABYTES:
            way = chosen_or_none(training, processes, gigabytes)
            if way is None:
                assert before == float("inf"), "less memory was enough"
                continue
            assert training.memory(way, processes) <= USABLE * gigabytes * 1e9
            seconds = training.seconds(way, processes)
            assert seconds <= before
            before = seconds


@pytest.mark.parametrize("name", MODELS)
def test_nothing_cheaper_fits(name):
    training = TRAININGS[name]
    for processes, gigabytes in itertools.product((1, 4, 8), GIGABYTES):
        way = chosen_or_none(training, processes, gigabytes)
        for size, checkpointing, sharding in itertools.product(
            (1, 2, 4, 8), (False, True), (False, True)
        ):
            if 8 % (size * (processes if sharding else 1)):
                continue
            other = Execution(size, False, checkpointing, sharding)
            if training.memory(other, processes) <= USABLE * gigabytes * 1e9:
                assert training.seconds(way, processes) <= training.seconds(other, processes)


def test_a_small_model_saves_nothing_on_a_large_gpu():
    for processes in (1, 2, 4, 8):
        way = choose(TRAININGS["qwen-2.5-0.5b"], processes, 80e9, {})
        assert way == Execution(micro_batch=8)


def test_smaller_micro_batches_come_before_checkpointing():
    qwen = TRAININGS["qwen-2.5-0.5b"]
    assert choose(qwen, 1, 24e9, {}) == Execution(micro_batch=2)
    assert choose(qwen, 1, 14e9, {}).checkpointing


def test_the_largest_model_of_the_paper_trains_on_eight_gpus_without_checkpointing():
    llama = TRAININGS["llama-3.1-8b"]
    assert choose(llama, 8, 80e9, {}) == Execution(micro_batch=1, sharding=True)
    assert choose(llama, 8, 40e9, {}) == Execution(micro_batch=1, checkpointing=True, sharding=True)


@pytest.mark.parametrize("gigabytes", GIGABYTES)
@pytest.mark.parametrize("name", ["llama-3.2-3b", "llama-3.1-8b"])
def test_a_refusal_names_the_first_number_of_gpus_that_works(name, gigabytes):
    training = replace(TRAININGS[name], together=64)
    if chosen_or_none(training, 1, gigabytes):
        return
    with pytest.raises(ValueError, match=r"needs [\d.]+ GB on each of 1 GPU") as refused:
        choose(training, 1, gigabytes * 1e9, {})
    count = int(re.search(r"it would fit on (\d+) such", str(refused.value))[1])
    assert 1 < count <= 64
    assert chosen_or_none(training, count, gigabytes)
    assert not any(chosen_or_none(training, fewer, gigabytes) for fewer in range(1, count))
    # the memory that it names is enough for the number that there is
    needed = float(re.search(r"needs ([\d.]+) GB", str(refused.value))[1])
    assert chosen_or_none(training, 1, needed)
    assert not chosen_or_none(training, 1, needed - 0.2)


def test_a_refusal_says_that_no_number_would_do():
    alone = replace(TRAININGS["llama-3.1-8b"], together=1)
    with pytest.raises(ValueError, match=rf"any number .* 64 .* divide {TOGETHER} \(1\)"):
        choose(alone, 8, 80e9, {})
    with pytest.raises(ValueError, match="any number"):
        choose(TRAININGS["llama-3.1-8b"], 8, 24e9, {"sharding": False})


def test_what_is_given_is_taken():
    training = TRAININGS["qwen-2.5-0.5b"]
    wanted = {"micro_batch": 2, "checkpointing": True, "sharding": "auto", "recompute": "auto"}
    assert choose(training, 2, 80e9, wanted) == Execution(2, checkpointing=True)
    split = choose(training, 4, 80e9, {"micro_batch": 0, "sharding": True})
    assert split.sharding and split.micro_batch == 2  # eight sequences, shared by four
    with pytest.raises(ValueError, match=rf"{TOGETHER} \(8\) must be a multiple of micro_b"):
        choose(training, 2, 80e9, {"micro_batch": 3})
    with pytest.raises(ValueError, match="the 3 processes"):
        choose(training, 3, 80e9, {"sharding": True})


def test_a_cpu_saves_nothing_unless_told_to():
    training = TRAININGS["llama-3.1-8b"]
    assert choose(training, 1, None, {"micro_batch": "auto"}) == Execution()
    assert choose(training, 2, None, {"sharding": True}) == Execution(sharding=True)


def test_gates_that_keep_choices_may_draw_them_again():
    gate = gate_of("maskllm", {"pattern": "2:4"})
    maskllm = replace(TRAININGS["qwen-2.5-0.5b"], gate=gate)
    assert not choose(maskllm, 1, 80e9, {}).recompute
    assert choose(maskllm, 1, 20e9, {}) == Execution(micro_batch=1, recompute=True)


def test_a_step_is_products_gates_and_what_is_sent():
    """Llama-3.1-8B, 8 of 4,096 tokens on 8 GPUs: by hand, from the module's first lines."""
    sizes = MODELS["llama-3.1-8b"].sizes
    products = 6 * 8.03e9 * 4096 / 125e12
    whole = step_seconds(sizes, 8, 4096, Execution(1), 8)
    assert whole == pytest.approx(
        products + 32 * 6.98e9 / 1.6e12 + 8 * 6.98e9 * 7 / 8 / 150e9, rel=0.001
    )
    split = step_seconds(sizes, 8, 4096, Execution(1, checkpointing=True, sharding=True), 8)
    assert split == pytest.approx(
        products * 8 / 6 + 40 * 6.98e9 / 8 / 1.6e12 + 8 * 6.98e9 * 7 / 8 / 150e9, rel=0.001
    )
    # two processes have nothing to do where a step has six micro-batches
    assert step_seconds(sizes, 6, 4096, Execution(1), 8) == whole

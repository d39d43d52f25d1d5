"""The cost of grids of the paper's models, against sums done by hand."""

import copy

import pytest

from leap.execution import Execution
from suite.plan.config import load
from suite.plan.cost import layerwise_memory, training_memory
from suite.plan.cost.estimate import estimate, evaluation_hours, grid_hours, table
from suite.plan.cost.shapes import MODELS
from suite.plan.cost.step import step_seconds
from tests.conftest import ROOT

PAPER, WORKSTATION = (load({"scale": s, "hub_mirror": ""}) for s in ("paper", "workstation"))
LARGEST = MODELS["llama-3.1-8b"]


def leap_hours(**execution):
    """GPU-hours of the largest model's training on one GPU, computed in this way."""
    seconds = step_seconds(LARGEST.sizes, 256, 4096, Execution(**execution))
    return 2000 * seconds / 3600


def test_leap_is_six_operations_a_parameter_and_token_its_gate_and_what_is_sent():
    # 8.03e9 parameters, 2,000 steps of 256 sequences of 4,096 tokens, 125 TFLOP/s: 224 hours
    products = 6 * 8.03e9 * 2000 * 256 * 4096 / 125e12 / 3600
    # 6.98e9 weights, 8 bytes and 24, for each sequence an eighth of them, 1.6 TB/s: 2.5 hours
    gates = (8 + 24) * 6.98e9 / 8 * 2000 * 256 / 1.6e12 / 3600
    # 2 bytes gathered and 4 scattered, of which 7 of 8 come from other GPUs, 150 GB/s: 35 hours
    sent = (2 + 4) * 6.98e9 * 7 / 8 * 2000 * 256 / 150e9 / 3600
    cost = estimate(LARGEST, "leap", PAPER)
    assert cost.gpu_hours == pytest.approx(products + gates + sent, rel=0.002)
    assert cost.gpus == 8
    # weights, gradients and moments of 6.98e9 logits, 18 bytes each, over 8 GPUs, and some more
    small = estimate(LARGEST, "leap", PAPER, 40e9)
    assert 18 * 6.98 / 8 < small.gigabytes_a_gpu < 1.6 * 18 * 6.98 / 8
    # with half of the memory, activations are computed again
    again = products * 8 / 6 + gates * 40 / 32 + sent * 8 / 6
    assert small.gpu_hours == pytest.approx(again, rel=0.002)


def test_leap_is_eight_operations_and_its_gate_40_bytes_a_weight_with_checkpointing():
    # 8.03e9 parameters, 2,000 steps of 256 sequences of 4,096 tokens, 125 TFLOP/s: 299 hours
    products = 8 * 8.03e9 * 2000 * 256 * 4096 / 125e12 / 3600
    # 6.98e9 weights, twice 8 bytes and 24, for each sequence, 1.6 TB/s: 25 hours
    gates = (8 + 8 + 24) * 6.98e9 * 2000 * 256 / 1.6e12 / 3600
    hours = leap_hours(micro_batch=1, checkpointing=True)
    assert hours == pytest.approx(products + gates, rel=0.002)


def test_a_larger_micro_batch_spares_gates_and_no_checkpointing_a_forward_pass():
    gate_and_products = leap_hours(micro_batch=1, checkpointing=True)
    gates = (gate_and_products - leap_hours(micro_batch=2, checkpointing=True)) * 2
    assert gates == pytest.approx(24.8, rel=0.01)
    without = leap_hours(micro_batch=1)
    assert without == pytest.approx((gate_and_products - gates) * 6 / 8 + gates * 32 / 40)


def test_elsa_takes_leaps_products_and_keeps_its_weights():
    # 24 bytes of each of 6.98e9 weights over 8 GPUs, and 2 for 1.05e9 others
    cost = estimate(LARGEST, "elsa", PAPER)
    assert 24 * 6.98 / 8 + 2.1 < cost.gigabytes_a_gpu < 80
    products = 6 * 8.03e9 * 2000 * 256 * 4096 / 125e12 / 3600
    assert products < cost.gpu_hours < 2 * products
    assert cost.disk_gigabytes == pytest.approx(6.98 / 8 + 2 * 6.98, rel=0.01)


def test_wanda_is_two_forward_passes_over_the_calibration_text():
    by_hand = 2 * 2 * 6.98e9 * 128 * 2048 / 125e12 / 3600
    assert estimate(LARGEST, "wanda", PAPER).gpu_hours == pytest.approx(by_hand, rel=0.01)


def test_more_calibration_text_costs_more_time_and_memory():
    settings = copy.deepcopy(PAPER)
    first = {"corpus": "training", "sequences": 512}
    settings["methods"]["wanda"]["calibration"] = first
    few, many = (estimate(LARGEST, "wanda", s) for s in (PAPER, settings))
    # 512 sequences of 4,096 tokens instead of 128 of 2,048
    assert many.gpu_hours == pytest.approx(8 * few.gpu_hours)
    more = (512 * 4096 - 128 * 2048) * 4096 * 2 / 1e9  # of hidden states in bfloat16
    assert many.gigabytes_a_gpu - few.gigabytes_a_gpu == pytest.approx(more, rel=0.01)


def test_reconstruction_is_forward_passes_and_three_more_an_epoch():
    settings = copy.deepcopy(PAPER)
    settings["methods"]["reconstruct"] |= {"epochs": 4, "batch": 2}
    by_hand = (5 + 4 * 3) * 2 * 6.98e9 * 128 * 2048 / 125e12 / 3600
    cost = estimate(LARGEST, "reconstruct", settings)
    assert cost.gpu_hours == pytest.approx(by_hand, rel=0.01)
    # the model, four times the hidden states, the MLP's three matrices with 21 bytes a weight
    by_hand = 2 * 8.03 + 4 * 2 * 128 * 2048 * 4096 / 1e9 + 21 * 3 * 4096 * 14336 / 1e9
    assert by_hand < cost.gigabytes_a_gpu < 1.1 * by_hand
    assert cost.disk_gigabytes == estimate(LARGEST, "admm", PAPER).disk_gigabytes
    settings["methods"]["reconstruct"]["batch"] = 8
    assert estimate(LARGEST, "reconstruct", settings).gigabytes_a_gpu > cost.gigabytes_a_gpu


def test_dearer_methods_cost_more_and_longer_trainings_too():
    costs = [
        estimate(LARGEST, method, PAPER).gpu_hours
        for method in ("magnitude", "wanda", "sparsegpt", "admm", "alps", "leap")
    ]
    assert costs == sorted(costs)
    twice = copy.deepcopy(PAPER)
    twice["methods"]["leap"]["steps"] *= 2
    assert estimate(LARGEST, "leap", twice).gpu_hours == pytest.approx(2 * costs[-1])


def test_the_grid_is_the_sum_of_its_cells():
    one = copy.deepcopy(PAPER)
    one["grid"] = {**one["grid"], "methods": ["leap"], "sparsities": [0.5]}
    expected = sum(
        estimate(shape, "leap", one).gpu_hours + 2 * evaluation_hours(shape)
        for shape in MODELS.values()
    )
    assert grid_hours(one) == pytest.approx(expected)
    assert table(PAPER).count("\n") == len(MODELS) + 3


def grid_of(**changes):
    """Scale paper with another grid."""
    return {**PAPER, "grid": {**PAPER["grid"], **changes}}


def hours_of_all(method, settings):
    """GPU-hours of one cell of each model, with its evaluation."""
    return sum(
        estimate(shape, method, settings).gpu_hours + evaluation_hours(shape)
        for shape in MODELS.values()
    )


def test_every_seed_of_a_stochastic_method_costs_as_much_and_others_have_one():
    one, three = grid_of(seeds=[0]), grid_of(seeds=[0, 1, 2])
    stochastic = sum(hours_of_all(method, PAPER) for method in ("leap", "random-mask"))
    # two more seeds at two sparsities
    more = grid_hours(three) - grid_hours(one)
    assert more == pytest.approx(2 * 2 * stochastic)
    assert grid_hours(grid_of(methods=["wanda"], seeds=[0, 1, 2])) == pytest.approx(
        grid_hours(grid_of(methods=["wanda"], seeds=[0]))
    )


@pytest.mark.parametrize("method", ["wanda-2-4", "maskllm", "patch"])
def test_a_method_under_a_pattern_costs_what_its_own_cells_do(method):
    settings = grid_of(methods=[method], sparsities=[0.5, 0.6])
    dense = sum(evaluation_hours(shape) for shape in MODELS.values())
    # of the two sparsities 2:4 has the first, and so do its tiles
    assert grid_hours(settings) == pytest.approx(dense + hours_of_all(method, settings))


def test_a_choice_among_patterns_has_more_logits_than_weights():
    whole = {**PAPER, "keep": {"logits": True, "checkpoints": False}}
    # six patterns of 2:4 for every four weights, against one logit a weight
    disk = {
        method: estimate(LARGEST, method, whole).disk_gigabytes for method in ("leap", "maskllm")
    }
    assert disk["leap"] == pytest.approx(6.98 * (1 / 8 + 4), rel=0.01)
    assert disk["maskllm"] == pytest.approx(6.98 * (1 / 8 + 4 * 6 / 4), rel=0.01)
    hours = {method: estimate(LARGEST, method, whole).gpu_hours for method in ("leap", "maskllm")}
    assert hours["leap"] < hours["maskllm"] < 2 * hours["leap"]


def test_a_scale_is_the_cost_of_its_own_models_on_its_own_gpus():
    lines = table(WORKSTATION).splitlines()
    assert [line.split()[1] for line in lines[2:5]] == WORKSTATION["grid"]["models"]
    # the same number of steps, 8 sequences each instead of 256
    for name in WORKSTATION["grid"]["models"]:
        small, large = (estimate(MODELS[name], "leap", s) for s in (WORKSTATION, PAPER))
        # the gradients of a step are added up over GPUs, or weights are sent to split them
        assert small.gpu_hours <= large.gpu_hours / 32 < 1.1 * small.gpu_hours
        assert (small.gpus, large.gpus) == (1, 8)
        assert estimate(MODELS[name], "leap", WORKSTATION, 24e9).gigabytes_a_gpu < 0.9 * 24
    with pytest.raises(ValueError, match=r"no shape .* of mini-qwen-2\.5-0\.5b, mini-llama"):
        table(load({"scale": "smoke", "hub_mirror": ""}))


def test_the_tables_of_the_documentation_are_those_of_the_formulas():
    page = (ROOT / "docs/cost.md").read_text(encoding="utf-8")
    estimates = [table(PAPER), table(WORKSTATION, 24e9)]
    for printed in (*estimates, layerwise_memory.table(), training_memory.table()):
        assert printed in page


def test_disk_is_a_bit_a_weight_where_nothing_else_is_kept():
    assert estimate(LARGEST, "leap", PAPER).disk_gigabytes == pytest.approx(6.98 / 8, rel=0.01)
    whole = {**PAPER, "keep": {"logits": True, "checkpoints": True}}
    expected = 6.98 * (1 / 8 + 4) + 2 * 8.03
    assert estimate(LARGEST, "leap", whole).disk_gigabytes == pytest.approx(expected, rel=0.01)
    assert estimate(LARGEST, "admm", PAPER).disk_gigabytes == pytest.approx(
        6.98 * (1 / 8 + 2), rel=0.01
    )

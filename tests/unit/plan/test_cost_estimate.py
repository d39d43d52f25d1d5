"""The cost of the paper's grid, against sums done by hand."""

import copy

import pytest

from suite.plan.config import load
from suite.plan.cost.estimate import estimate, evaluation_hours, grid_hours, table
from suite.plan.cost.shapes import MODELS

PAPER = load({"scale": "paper", "hub_mirror": ""})
LARGEST = MODELS["Llama-3.1-8B"]


def test_leap_is_eight_operations_a_parameter_and_token():
    # 8.03e9 parameters, 2,000 steps of 256 sequences of 4,096 tokens, 125 TFLOP/s
    by_hand = 8 * 8.03e9 * 2000 * 256 * 4096 / 125e12 / 3600
    cost = estimate(LARGEST, "leap", PAPER)
    assert cost.gpu_hours == pytest.approx(by_hand, rel=0.01)
    assert cost.gpus == 8
    # weights, gradients and moments of 6.98e9 logits, 18 bytes each, over 8 GPUs, and some more
    assert 18 * 6.98 / 8 < cost.gigabytes_a_gpu < 1.6 * 18 * 6.98 / 8


def test_wanda_is_two_forward_passes_over_the_calibration_text():
    by_hand = 2 * 2 * 6.98e9 * 128 * 2048 / 125e12 / 3600
    assert estimate(LARGEST, "wanda", PAPER).gpu_hours == pytest.approx(by_hand, rel=0.01)


def test_dearer_methods_cost_more_and_longer_trainings_too():
    costs = [
        estimate(LARGEST, method, PAPER).gpu_hours
        for method in ("magnitude", "wanda", "sparsegpt", "admm", "leap")
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


def test_disk_is_a_bit_a_weight_where_nothing_else_is_kept():
    assert estimate(LARGEST, "leap", PAPER).disk_gigabytes == pytest.approx(6.98 / 8, rel=0.01)
    whole = {**PAPER, "keep": {"logits": True, "checkpoints": True}}
    expected = 6.98 * (1 / 8 + 4) + 2 * 8.03
    assert estimate(LARGEST, "leap", whole).disk_gigabytes == pytest.approx(expected, rel=0.01)
    assert estimate(LARGEST, "admm", PAPER).disk_gigabytes == pytest.approx(
        6.98 * (1 / 8 + 2), rel=0.01
    )

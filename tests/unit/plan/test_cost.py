"""Estimates for grids of the paper's models, against real model classes and sums done by hand."""

import copy

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from leap.execution import Execution
from leap.methods import elsa, finetune, gmp
from leap.model.layers import prunable_linears
from leap.settings import Settings
from leap.training.masks import learn_masks
from leap_suite.plan.config import load
from leap_suite.plan.cost import (
    DISTILLED,
    LASTING,
    MODELS,
    evaluation_hours,
    grid_hours,
    memory_table,
    table,
    trained,
    training_bytes,
    training_hours,
)
from tests.conftest import ROOT
from tests.live_bytes import LiveBytes
from tests.paper_models import config_of, model_of

PAPER, WORKSTATION = (load({"scale": s, "hub_mirror": ""}) for s in ("paper", "workstation"))
LARGEST = MODELS["llama-3.1-8b"]
PRODUCTS = 8.03e9 * 2000 * 256 * 4096 / 125e12 / 3600  # hours for one operation per parameter


@pytest.mark.parametrize("name", MODELS)
def test_sizes_are_those_of_the_real_class(name):
    with torch.device("meta"):
        model = model_of(config_of(name))
    prunable = sum(linear.weight.numel() for linear in prunable_linears(model).values())
    assert MODELS[name].prunable == prunable
    whole = sum(parameter.numel() for parameter in model.parameters())
    assert prunable + MODELS[name].other == pytest.approx(whole, rel=0.001)


def test_a_training_costs_its_products_its_gate_and_what_gpus_send():
    # 32 bytes of 6.98e9 weights per draw of 8 sequences; 6 bytes from 7 of 8 GPUs, which all wait
    gates = 32 * 6.98e9 * 2000 * 32 / 1.6e12 / 3600
    sent = 6 * 6.98e9 * 2000 * 32 * 7 / 150e9 / 3600
    hours, size = trained(LARGEST, "leap", PAPER, 80e9)
    assert hours == pytest.approx(6 * PRODUCTS + gates + sent, rel=0.002)
    assert 18 * 6.98e9 / 8 < size < 72e9
    hours, smaller = trained(LARGEST, "leap", PAPER, 40e9)  # which have to checkpoint
    assert hours == pytest.approx(8 * PRODUCTS + gates + sent * 8 / 6, rel=0.002)
    assert 18 * 6.98e9 / 8 < smaller < size / 2
    alone = training_hours(LARGEST, PAPER["methods"]["leap"], 4096)
    assert alone == pytest.approx(6 * PRODUCTS + gates, rel=0.002)
    # ELSA draws no masks, and has sparse copies and duals
    hours, more = trained(LARGEST, "elsa", PAPER, 80e9)
    assert 6 * PRODUCTS < hours < 6 * PRODUCTS + gates
    assert more - size == pytest.approx(6 * 6.98e9 / 8, rel=0.01)


def test_the_grid_is_the_sum_of_its_cells():
    one = copy.deepcopy(PAPER)
    one["grid"] |= {"methods": ["leap", "wanda"], "sparsities": [0.5], "seeds": [0, 1]}
    expected = sum(
        2 * trained(shape, "leap", one, 80e9)[0] + 4 * evaluation_hours(shape)  # and Wanda, dense
        for shape in MODELS.values()
    )
    assert grid_hours(one, 80e9) == pytest.approx(expected)
    with pytest.raises(ValueError, match=r"lacks mini-qwen-2\.5-0\.5b, mini-llama"):
        table(load({"scale": "smoke", "hub_mirror": ""}), 80e9)


def test_the_documentation_has_these_tables():
    page = (ROOT / "docs/cost.md").read_text(encoding="utf-8")
    for printed in (table(PAPER, 80e9), table(WORKSTATION, 24e9), memory_table()):
        assert printed in page
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for settings, gpu_bytes in ((PAPER, 80e9), (WORKSTATION, 24e9)):
        assert f"estimated {float(f'{grid_hours(settings, gpu_bytes):.1g}'):.0f} GPU-h" in readme


@pytest.mark.parametrize("scale", ["paper", "workstation"])
def test_scales_ask_for_the_machines_memory_that_their_trainings_need(scale):
    """Each process 4 GB, the largest state on its way to the disk (ELSA, 20 bytes a weight)."""
    settings = load({"scale": scale, "hub_mirror": ""})
    for name in settings["grid"]["models"]:
        own = settings["models"][name].get("resources", {}).get("train", {})
        asked = {**settings["resources"]["train"], **own}
        needed = 4e9 * asked["gpu"] + 20 * MODELS[name].prunable
        assert needed <= asked["mem_mb"] * 1e6, (name, needed / 1e9)


# bytes a weight: what lasts, the masked weights, and on a CPU a float32 mask, unless recomputed
@pytest.mark.parametrize(
    ("saved", "most"),
    [
        ({}, 18 + 2 + 4),
        ({"recompute": True}, 18 + 2),
        ({"recompute": True, "checkpointing": True}, 18),
    ],
)
def test_a_training_of_masks_holds_no_more_than_it_has_to(saved, most):
    model, ids_BT = wide_model(), torch.randint(64, (4, 4))
    with LiveBytes(model.parameters()) as live:
        settings = Settings(0.5, steps=2, batch=2, sequences_per_draw=1)
        learn_masks(model, ids_BT, settings, execution=Execution(**saved))
    assert most < live.peak / weights_of(model) < most + 3


@pytest.mark.parametrize(
    ("name", "module", "own", "more"),
    [
        ("elsa", elsa, {"interval": 2, "projection": "moment"}, 0),
        # on a CPU the mask is the caller's
        ("finetune", finetune, {}, -1),
        ("finetune", finetune, {"distil": 0.5}, DISTILLED - 1),
        ("gmp", gmp, {"interval": 1, "criterion": "moment"}, 0),
    ],
)
def test_a_training_of_weights_holds_no_more_than_it_has_to(name, module, own, more):
    model = wide_model()
    kept = {n: layer.weight.detach() > 0 for n, layer in prunable_linears(model).items()}
    share = 1 - sum(int(m.sum()) for m in kept.values()) / sum(m.numel() for m in kept.values())
    given = {"masks": kept} if name == "finetune" else {}
    settings = module.Settings(share, steps=2, batch=2, **own)
    with LiveBytes(model.parameters()) as live:
        way = Execution(micro_batch=1, checkpointing=True)
        module.learn_weights(model, torch.randint(64, (4, 4)), settings, execution=way, **given)
    lasting = LASTING[name] + more
    assert lasting < live.peak / weights_of(model) < lasting + 4


def wide_model():
    """So wide and shallow that its activations for four tokens hardly count."""
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=256, intermediate_size=512, num_hidden_layers=6, vocab_size=64,
        num_attention_heads=4, num_key_value_heads=2,
    )  # fmt: skip
    return LlamaForCausalLM(config).to(torch.bfloat16)


def weights_of(model):
    return sum(linear.weight.numel() for linear in prunable_linears(model).values())


def test_a_gpu_takes_what_its_table_says():
    """One H200, Llama-3.2-1B, micro-batches of 16 x 2,048 tokens: measured 71.0 and 22.6 GB."""
    shape = MODELS["llama-3.2-1b"]
    assert training_bytes(shape, 16 * 2048) == pytest.approx(71.0e9, rel=0.1)
    saved = training_bytes(shape, 16 * 2048, checkpointing=True)
    assert saved == pytest.approx(22.6e9, rel=0.15)

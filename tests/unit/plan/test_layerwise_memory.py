"""The memory formulas of layer-wise pruning, against bytes counted on small models."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from baselines import reconstruct, registry
from baselines.sequential import prune_model
from leap.model.layers import prunable_linears
from suite.plan.cost import layerwise_memory as memory
from suite.plan.cost import reconstruction_memory
from suite.plan.cost.shapes import MODELS, Shape
from suite.plan.methods import known_methods, method_schema, rule_folders
from tests.live_bytes import LiveBytes

LAYER_WISE = [
    name
    for name in known_methods()
    if not method_schema(name).get("trained") and name not in {*rule_folders(), "reconstruct"}
]
SIZES = [(128, 256), (128, 512), (256, 256)]


def test_every_baseline_has_a_formula():
    assert set(memory.METHODS) == set(LAYER_WISE)


def model_of(hidden, intermediate):
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(hidden_size=hidden, intermediate_size=intermediate, num_hidden_layers=2,
                    vocab_size=64, num_attention_heads=4, num_key_value_heads=4)
    )  # fmt: skip


def peak(method, hidden, intermediate, tokens):
    """Bytes alive at most beyond the model's own; with few tokens activations hardly count."""
    model = model_of(hidden, intermediate)
    own = sum(parameter.nbytes for parameter in model.parameters())
    batches = torch.randint(64, tokens).split(1)
    with LiveBytes(model.parameters()) as live:
        module = registry.load(method)
        prune_model(model, module, module.Settings(), 0.5, batches)
    masks = sum(linear.weight.numel() for linear in prunable_linears(model).values())
    return live.peak - own, masks


@pytest.mark.parametrize(("hidden", "intermediate"), SIZES)
@pytest.mark.parametrize("method", LAYER_WISE)
def test_formula_bounds_the_bytes_alive_at_the_peak(method, hidden, intermediate):
    shape = Shape(hidden, 2, intermediate, 4, 4, hidden // 4, 64, tied=False)
    bound = memory.work_bytes(method, memory.groups_of(shape))
    measured, masks = peak(method, hidden, intermediate, (2, 4))
    assert measured - masks < bound * 1.02  # masks are in the same memory on a CPU
    assert measured > bound * (0.25 if method == "thanos" else 0.8)


def test_more_calibration_sequences_add_their_hidden_states_and_nothing_else():
    few, _ = peak("sparsegpt", 64, 128, (4, 32))
    many, _ = peak("sparsegpt", 64, 128, (84, 32))
    assert many - few == pytest.approx(80 * 32 * 64 * 4, rel=0.05)


@pytest.mark.parametrize("inputs", ["dense", "pruned"])
@pytest.mark.parametrize(
    ("hidden", "intermediate", "tokens", "batch"),
    [
        (128, 256, (2, 4), 1),
        (256, 256, (2, 4), 1),
        (128, 256, (32, 64), 4),
        (64, 512, (64, 64), 16),
    ],
)
def test_reconstruction_has_a_formula_of_its_own(hidden, intermediate, tokens, batch, inputs):
    model = model_of(hidden, intermediate)
    own = sum(parameter.nbytes for parameter in model.parameters())
    batches = torch.randint(64, tokens).split(1)
    linears = prunable_linears(model)
    masks = {name: torch.rand(linear.weight.shape) < 0.5 for name, linear in linears.items()}
    total = sum(mask.numel() for mask in masks.values())
    sparsity = 1 - sum(int(mask.sum()) for mask in masks.values()) / total
    settings = reconstruct.Settings(1e-3, 2, batch, inputs)
    with LiveBytes(model.parameters()) as live:
        reconstruct.prune_model(model, settings, sparsity, batches, masks, {})
    shape = Shape(hidden, 2, intermediate, 4, 4, hidden // 4, 64, tied=False)
    bound = reconstruction_memory.work_bytes(shape, *tokens, batch, inputs, weight_bytes=4)
    assert 0.8 * bound < live.peak - own - total < 1.02 * bound


def test_an_8b_model_fits_on_one_gpu_of_24_gb():
    shape = MODELS["llama-3.1-8b"]
    assert all(memory.peak_bytes(method, shape, 128, 2048) < 24e9 for method in memory.METHODS)

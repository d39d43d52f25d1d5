"""ELSA against a slow implementation: float64, plain loops, no module replaced."""

import math

import pytest
import torch
from torch import nn
from torch.func import functional_call
from transformers import LlamaConfig, LlamaForCausalLM

from leap.budget import layer_survivors
from leap.execution import Execution
from leap.methods.elsa import Settings, learn_weights
from leap.model.layers import prunable_linears
from leap.seeds import noise_seed

VOCABULARY = 40
TRAINING = {"sparsity": 0.6, "steps": 11, "batch": 4, "learning_rate": 1e-2, "warmup_steps": 3,
            "penalty": 0.05, "interval": 3, "seed": 5}  # fmt: skip


def llama(dtype=torch.float32):
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=16, intermediate_size=24, num_hidden_layers=2, vocab_size=VOCABULARY,
        num_attention_heads=4, num_key_value_heads=2, initializer_range=0.2,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval().to(dtype)


def tokens():
    return torch.randint(3, VOCABULARY, (7, 12), generator=torch.Generator().manual_seed(1))


def kept(scores, count):
    """Mask of the largest scores, of equal scores the first."""
    flat = scores.flatten().tolist()
    order = sorted(range(len(flat)), key=lambda place: (-flat[place], place))
    mask = torch.zeros(len(flat), dtype=torch.bool)
    mask[order[:count]] = True
    return mask.view(scores.shape)


def elsa(model, blocks, s):
    """Weights, masks and one line of metrics per step."""
    w = {n: m.weight.detach().clone() for n, m in prunable_linears(model).items()}
    count = layer_survivors({n: x.numel() for n, x in w.items()}, s.sparsity)
    first, second = ({n: torch.zeros_like(x) for n, x in w.items()} for _ in range(2))
    u = {n: torch.zeros_like(x) for n, x in w.items()}
    z = {n: torch.where(kept(x.abs(), count[n]), x, 0.0) for n, x in w.items()}
    lines = []

    def mask_of(name, x, step):
        if s.projection == "magnitude":
            return kept(x.abs(), count[name])
        return kept(second[name] / (1 - 0.95 ** (step + 1)) * x**2, count[name])

    for step in range(s.steps):
        ids = []
        for place in range(step * s.batch, (step + 1) * s.batch):
            epoch, position = divmod(place, len(blocks))
            generator = torch.Generator().manual_seed(noise_seed(s.seed, -2, epoch))
            ids.append(blocks[torch.randperm(len(blocks), generator=generator)[position]])
        ids = torch.stack(ids)
        leaves = {n: x.clone().requires_grad_() for n, x in w.items()}
        weights = {f"{n}.weight": leaf for n, leaf in leaves.items()}
        scores = functional_call(model, weights, kwargs={"input_ids": ids}).logits
        loss = nn.functional.cross_entropy(
            scores[:, :-1].reshape(-1, VOCABULARY), ids[:, 1:].reshape(-1)
        )
        penalty = sum(((leaves[n] - z[n] + u[n]) ** 2).sum() for n in w) * s.penalty / 2
        gradients = dict(zip(w, torch.autograd.grad(loss + penalty, leaves.values()), strict=True))
        norm = sum(float((g**2).sum()) for g in gradients.values()) ** 0.5
        residual = sum(float(((w[n] - z[n]) ** 2).sum()) for n in w)
        size = sum(float((w[n] ** 2).sum()) for n in w)
        if step < s.warmup_steps:
            rate = s.learning_rate * (step + 1) / s.warmup_steps
        else:
            angle = math.pi * (step - s.warmup_steps) / (s.steps - s.warmup_steps)
            rate = s.learning_rate * (1 + math.cos(angle)) / 2
        for n, g in gradients.items():
            if s.max_grad_norm and norm > s.max_grad_norm:
                g = g * s.max_grad_norm / norm
            first[n] = 0.9 * first[n] + 0.1 * g
            second[n] = 0.95 * second[n] + 0.05 * g**2
            mean = first[n] / (1 - 0.9 ** (step + 1))
            spread = (second[n] / (1 - 0.95 ** (step + 1))) ** 0.5
            w[n] = w[n] * (1 - rate * s.weight_decay) - rate * mean / (spread + 1e-8)
        if (step + 1) % s.interval == 0:
            for n in w:
                z[n] = torch.where(mask_of(n, w[n] + u[n], step), w[n] + u[n], 0.0)
                u[n] = u[n] + (w[n] - z[n])
        lines.append(
            {"lm_loss": loss.item(), "penalty_term": penalty.item(), "learning_rate": rate,
             "gradient_norm": norm, "primal_residual": (residual / size) ** 0.5}
        )  # fmt: skip
    masks = {n: mask_of(n, x, s.steps - 1) for n, x in w.items()}
    return {n: torch.where(masks[n], x, 0.0) for n, x in w.items()}, masks, lines


VARIANTS = {
    "plain": {},
    "by Adam's second moment": {"projection": "moment"},
    "a projection after every step": {"interval": 1, "penalty": 0.5},
    "no projection before the end": {"interval": 12},
    "clipped": {"max_grad_norm": 0.5},
    "weights that decay": {"weight_decay": 0.1},
    "sequence by sequence, lean": {"how": {"micro_batch": 1, "checkpointing": True}},
    "nine in ten": {"sparsity": 0.9, "batch": 9},
}


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_weights_masks_and_metrics_agree_with_the_slow_implementation(changes):
    changes = dict(changes)
    execution = Execution(**changes.pop("how", {}))
    settings, lines = Settings(**{**TRAINING, **changes}), []
    expected, masks, expected_lines = elsa(llama(torch.float64), tokens(), settings)
    found = learn_weights(
        llama(), tokens(), settings, execution=execution, report=lambda _, v: lines.append(v)
    )
    assert list(found.weights) == list(found.masks) == list(expected)
    for name, wanted in expected.items():
        assert torch.equal(found.masks[name], masks[name]), name
        torch.testing.assert_close(found.weights[name].double(), wanted, rtol=0, atol=1e-5)
    for line, wanted in zip(lines, expected_lines, strict=True):
        assert line.keys() - wanted.keys() == {"tokens_per_second", "seconds"}
        assert {k: line[k] for k in wanted} == pytest.approx(wanted, rel=1e-4, abs=1e-7)


def test_every_part_of_the_algorithm_changes_the_result():
    """Otherwise the comparisons above would hold for a part without effect."""
    parts = [{}, {"projection": "moment"}, {"penalty": 0.0}, {"interval": 12}, {"interval": 1}]
    found = [
        learn_weights(llama(), tokens(), Settings(**{**TRAINING, **part})).weights for part in parts
    ]
    name = "model.layers.0.mlp.up_proj"
    assert len({float(weights[name].double().sum()) for weights in found}) == len(parts)

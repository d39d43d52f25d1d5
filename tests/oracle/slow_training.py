"""Slow training of weights: float64, plain loops and autograd, no module replaced.

What ELSA, fine-tuning and gradual pruning have in common: batches, the language-modelling loss,
clipping, AdamW and the learning rate, each by its formula. Weights are dicts by parameter name.
"""

import math

import pytest
import torch
from torch import nn
from torch.func import functional_call
from transformers import LlamaConfig, LlamaForCausalLM

from leap.budget import layer_survivors
from leap.model.layers import prunable_linears
from leap.seeds import noise_seed

VOCABULARY = 40
TIMES = {"tokens_per_second", "seconds"}
# `tied` has one matrix for embedding and head, the others a head of its own
SHAPES = {
    "plain": {},
    "tied": {"tie_word_embeddings": True},
    "biased": {"attention_bias": True, "mlp_bias": True},
}


def llama(dtype=torch.float32, shape="plain"):
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=16, intermediate_size=24, num_hidden_layers=2, vocab_size=VOCABULARY,
        num_attention_heads=4, num_key_value_heads=2, initializer_range=0.2, **SHAPES[shape],
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            parameter.data.normal_(std=0.2)
    return model.eval().to(dtype)


def tokens():
    return torch.randint(3, VOCABULARY, (7, 12), generator=torch.Generator().manual_seed(1))


def prunable(model):
    """Names of the prunable weights."""
    return [f"{name}.weight" for name in prunable_linears(model)]


def counts(model, sparsity):
    """Survivors by the name of the weight."""
    sizes = {name: model.get_parameter(name).numel() for name in prunable(model)}
    return layer_survivors(sizes, sparsity)


def kept(scores, count):
    """Mask of the largest scores, of equal scores the first."""
    flat = scores.flatten().tolist()
    order = sorted(range(len(flat)), key=lambda place: (-flat[place], place))
    mask = torch.zeros(len(flat), dtype=torch.bool)
    mask[order[:count]] = True
    return mask.view(scores.shape)


def batch_of(blocks, s, step):
    """Sequences of a step: the corpus in a new order in every epoch."""
    ids = []
    for place in range(step * s.batch, (step + 1) * s.batch):
        epoch, position = divmod(place, len(blocks))
        generator = torch.Generator().manual_seed(noise_seed(s.seed, -2, epoch))
        ids.append(blocks[torch.randperm(len(blocks), generator=generator)[position]])
    return torch.stack(ids)


def predictions(model, weights, ids):
    """Log-probabilities of the whole vocabulary at every position with a next token."""
    scores = functional_call(model, dict(weights), kwargs={"input_ids": ids}).logits
    return scores[:, :-1].reshape(-1, VOCABULARY).log_softmax(dim=1)


def lm_loss(found, ids):
    return nn.functional.nll_loss(found, ids[:, 1:].reshape(-1))


def leaves_of(w):
    return {name: tensor.clone().requires_grad_() for name, tensor in w.items()}


def gradients(loss, leaves):
    return dict(zip(leaves, torch.autograd.grad(loss, leaves.values()), strict=True))


def clipped(grads, longest):
    """Gradients of this norm together at most, and their norm before."""
    norm = sum(float((g**2).sum()) for g in grads.values()) ** 0.5
    ratio = longest / norm if longest and norm > longest else 1.0
    return {name: g * ratio for name, g in grads.items()}, norm


def rate_at(s, step, steps, decay="cosine"):
    if step < s.warmup_steps:
        return s.learning_rate * (step + 1) / s.warmup_steps
    done = (step - s.warmup_steps) / (steps - s.warmup_steps)
    left = {"cosine": (1 + math.cos(math.pi * done)) / 2, "linear": 1 - done}
    return s.learning_rate * left[decay]


class AdamW:
    """Moments of each weight; betas 0.9 and 0.95."""

    def __init__(self, w):
        self.first = {name: torch.zeros_like(tensor) for name, tensor in w.items()}
        self.second = {name: torch.zeros_like(tensor) for name, tensor in w.items()}
        self.steps = 0

    def move(self, w, grads, rate, decay):
        self.steps += 1
        for name, g in grads.items():
            self.first[name] = 0.9 * self.first[name] + 0.1 * g
            self.second[name] = 0.95 * self.second[name] + 0.05 * g**2
            mean = self.first[name] / (1 - 0.9**self.steps)
            root = self.moment(name) ** 0.5
            w[name] = w[name] * (1 - rate * decay) - rate * mean / (root + 1e-8)

    def moment(self, name):
        """Second moment, corrected for its start."""
        return self.second[name] / (1 - 0.95**self.steps)


def assert_agree(found, lines, expected):
    """Learned weights, masks, other parameters and metrics against (weights, masks, lines)."""
    weights, masks, wanted_lines = expected
    assert [f"{name}.weight" for name in found.weights] == list(masks)
    assert [f"{name}.weight" for name in found.masks] == list(masks)
    assert set(found.others) == weights.keys() - masks.keys()
    for name, mask in found.masks.items():
        assert torch.equal(mask, masks[f"{name}.weight"]), name
    trained = {**{f"{name}.weight": w for name, w in found.weights.items()}, **found.others}
    for name, wanted in weights.items():
        sparse = torch.where(masks[name], wanted, 0.0) if name in masks else wanted
        torch.testing.assert_close(trained[name].double(), sparse, rtol=0, atol=1e-5, msg=name)
    for line, wanted in zip(lines, wanted_lines, strict=True):
        assert line.keys() - wanted.keys() == TIMES
        assert {key: line[key] for key in wanted} == pytest.approx(wanted, rel=1e-4, abs=1e-7)


def assert_all_differ(results):
    """Otherwise comparisons would hold for a part of the algorithm without effect."""
    sums = [sum(float(w.double().sum()) for w in found.weights.values()) for found in results]
    assert len(set(sums)) == len(sums), sums

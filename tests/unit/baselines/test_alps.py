"""ALPS: what its weights are solutions of, that rounding decides little, errors below ADMM's."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from baselines import admm, alps
from baselines.sequential import no_progress, prune_model, walk
from leap.model.layers import prunable_linears
from suite.miniature.text import training_documents
from suite.miniature.world import build_world
from suite.plan.config import MINIATURES, load
from suite.stages import corpora, models
from tests.oracle import slow

MINI = load({"scale": "mini", "hub_mirror": ""})


class Known:
    """A Hessian that is there already."""

    def __init__(self, hessian_II):
        self.hessian_II = hessian_II

    def take(self):
        return self.hessian_II.clone()


def damped(inputs, damping):
    """The Hessian that ALPS solves with: live features have a fraction of their mean on top."""
    hessian = inputs.T @ inputs / len(inputs)
    live = hessian.diagonal() > 0
    mean = hessian.diagonal()[live].mean() if live.any() else 0
    return hessian + torch.diag(live * damping * mean)


@st.composite
def layers(draw):
    """Weight [O, I], inputs [T, I] of float64 whose Hessian is often singular, and survivors."""
    rows, columns = draw(st.integers(1, 10)), draw(st.integers(1, 24))
    random = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    tokens = draw(st.integers(1, 60))
    mixing = torch.randn(columns, columns, generator=random, dtype=torch.float64)
    inputs = torch.randn(tokens, columns, generator=random, dtype=torch.float64) @ (
        torch.eye(columns) + draw(st.sampled_from([0.0, 0.3])) * mixing
    )
    inputs[:, sorted(draw(st.sets(st.integers(0, columns - 1), max_size=3)))] = 0
    weight = torch.randn(rows, columns, generator=random).double()
    return weight, inputs, draw(st.integers(0, rows * columns))


def prune(weight, inputs, keep, **options):
    chosen = alps.Settings(**options)
    prepared = alps.prepare(Known((inputs.T @ inputs / len(inputs)).double()), chosen)
    new, mask = alps.prune(weight, prepared, keep, chosen)
    return new * mask, mask


def error(weight, new, hessian):
    return float((((new - weight) @ hessian) * (new - weight)).sum())


@settings(deadline=None, max_examples=100)
@given(layer=layers())
def test_new_weights_are_never_worse_than_the_old_ones_under_the_same_mask(layer):
    weight, inputs, keep = layer
    hessian = damped(inputs, 0.01)
    new, mask = prune(weight, inputs, keep)
    assert error(weight, new, hessian) <= error(weight, weight * mask, hessian) * (1 + 1e-9) + 1e-12


@settings(deadline=None, max_examples=100)
@given(layer=layers())
def test_with_enough_steps_no_other_weights_under_the_mask_are_better(layer):
    weight, inputs, keep = layer
    hessian = damped(inputs, 0.01)
    new, mask = prune(weight, inputs, keep, steps=300)
    gradient = ((new - weight) @ hessian) * mask
    scale = float((weight @ hessian).abs().max())
    assert float(gradient.abs().max()) <= 1e-8 * scale


@settings(deadline=None, max_examples=50)
@given(layer=layers())
def test_every_step_makes_the_error_smaller(layer):
    weight, inputs, keep = layer
    hessian = damped(inputs, 0.01)
    errors = [error(weight, prune(weight, inputs, keep, steps=n)[0], hessian) for n in range(6)]
    assert all(b <= a * (1 + 1e-9) + 1e-12 for a, b in pairwise(errors))


def test_many_steps_end_in_rounding_and_not_in_noise():
    random = torch.Generator().manual_seed(0)
    weight, inputs = torch.randn(8, 20, generator=random), torch.randn(50, 20, generator=random)
    few, _ = prune(weight, inputs, 80, steps=30)
    many, _ = prune(weight, inputs, 80, steps=1000)
    torch.testing.assert_close(few, many, rtol=1e-10, atol=1e-12)


def correlated_layer():
    """Weight [16, 32] and inputs [90, 32]."""
    random = torch.Generator().manual_seed(1)
    weight = torch.randn(16, 32, generator=random).double()
    inputs = torch.randn(90, 32, generator=random).double()
    return weight, inputs @ (torch.eye(32) + torch.randn(32, 32, generator=random) / 4).double()


@pytest.mark.parametrize("rho", [10.0, 1.0])
def test_a_smaller_penalty_continues_after_no_change_and_restarts_after_a_small_one(rho):
    """From 10 no element of the mask changes at first, from 1 two elements."""
    weight, inputs = correlated_layer()
    new, mask = prune(weight, inputs, 440, rho=rho, iterations=6, steps=0)
    expected, expected_mask = slow.alps(weight, inputs, 440, rho=rho, iterations=6, steps=0)
    assert torch.equal(mask, expected_mask)
    torch.testing.assert_close(new, expected, rtol=1e-9, atol=1e-12)


def calibration(folder, bos) -> torch.Tensor:
    """Calibration tokens of scale mini."""
    recipe = {k: v for k, v in MINI["corpora"]["calibration"].items() if k != "batch"}
    tokenizer = PreTrainedTokenizerFast.from_pretrained(MINIATURES / "tokenizer")
    texts = training_documents(build_world(), 2000, seed=1)
    corpora.build(recipe, texts, tokenizer, bos, folder / "calibration.safetensors")
    return torch.from_numpy(corpora.read(folder / "calibration.safetensors")[0]).long()


def off(method, options, weight, hessian, keep):
    """tr((W - W')^T H (W - W')) that a method leaves."""
    chosen = method.Settings(**options)
    prepared = method.prepare(Known(hessian), chosen)
    new, mask = method.prune(weight.clone(), prepared, keep, chosen)
    difference = (new.masked_fill(~mask, 0) - weight).double()
    return float(((difference @ hessian.double()) * difference).sum())


@pytest.mark.parametrize("model", MINI["grid"]["models"])
def test_errors_of_real_layers_are_smaller_than_admms(model, tmp_path):
    """With the settings of scale mini, and ADMM with either schedule, on the very same inputs."""
    tokens = calibration(tmp_path, bos=False)
    ours, theirs = (MINI["methods"][name] for name in ("alps", "admm"))
    loaded = models.load_model(MINIATURES / model, "float32", "cpu")
    linears = prunable_linears(loaded)
    ratios = {}
    with torch.no_grad():
        for group in walk(loaded, linears, alps.Statistic, tokens.split(32), no_progress):
            hessian = group.statistic.take()
            for name in group.names:
                weight = linears[name].weight
                for sparsity in (0.6, 0.7):
                    keep = round(weight.numel() * (1 - sparsity))
                    here = off(alps, ours, weight, hessian, keep)
                    for schedule in ("cubic", "constant"):
                        options = {**theirs, "schedule": schedule}
                        there = off(admm, options, weight, hessian.float(), keep)
                        ratios[name, sparsity, schedule] = here / there
    assert len(ratios) == 28 * 2 * 2
    assert {case: ratio for case, ratio in ratios.items() if ratio > 0.99} == {}


def test_masks_of_a_model_do_not_depend_on_the_batches_in_which_its_inputs_are_computed(tmp_path):
    tokens = calibration(tmp_path, bos=True)

    def masks(batch):
        model = models.load_model(MINIATURES / "mini-llama-3.2-3b", "float32", "cpu")
        chosen = alps.Settings(**MINI["methods"]["alps"])
        return prune_model(model, alps, chosen, 0.6, tokens.split(batch)).masks

    whole, parts = masks(32), masks(8)
    assert {name: n for name in whole if (n := int((whole[name] != parts[name]).sum()))} == {}

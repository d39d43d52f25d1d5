"""ALPS: what its weights are solutions of, and that it leaves smaller errors than ADMM."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from baselines import admm, alps
from baselines.sequential import no_progress, walk
from leap.layers import prunable_linears
from suite.miniature.text import training_documents
from suite.miniature.world import build_world
from suite.plan.config import MINIATURES, load
from suite.stages import corpora, models

MINI = load({"scale": "mini", "hub_mirror": ""})


class Known:
    """A Hessian that is there already."""

    def __init__(self, hessian_II):
        self.hessian_II = hessian_II

    def matrix(self):
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
    prepared = alps.prepare(Known(inputs.T @ inputs / len(inputs)), chosen)
    new, mask = alps.prune(weight, prepared, keep, chosen)
    return new * mask, mask


def error(weight, new, hessian):
    return float((((new - weight) @ hessian) * (new - weight)).sum())


@settings(deadline=None, max_examples=100)
@given(layer=layers(), budget=st.sampled_from(["layer", "row"]))
def test_exactly_so_many_survive_and_the_rest_is_zero_the_same_every_time(layer, budget):
    weight, inputs, keep = layer
    new, mask = prune(weight, inputs, keep, budget=budget)
    assert int(mask.sum()) == keep
    assert not new[~mask].any()
    assert torch.isfinite(new).all()
    again, same = prune(weight, inputs, keep, budget=budget)
    assert torch.equal(new, again)
    assert torch.equal(mask, same)


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


def test_many_steps_in_single_precision_end_in_rounding_and_not_in_noise():
    random = torch.Generator().manual_seed(0)
    weight, inputs = torch.randn(8, 20, generator=random), torch.randn(50, 20, generator=random)
    few, _ = prune(weight, inputs, 80, steps=30)
    many, _ = prune(weight, inputs, 80, steps=1000)
    torch.testing.assert_close(few, many, rtol=1e-4, atol=1e-5)


def test_a_penalty_that_changes_nothing_is_made_smaller_until_it_does():
    """From far too large a penalty the mask would stay that of the largest weights."""
    random = torch.Generator().manual_seed(1)
    weight = torch.randn(16, 32, generator=random).double()
    inputs = torch.randn(90, 32, generator=random).double()
    inputs = inputs @ (torch.eye(32) + torch.randn(32, 32, generator=random) / 4).double()
    new, _ = prune(weight, inputs, 150, rho=100.0)
    largest, _ = prune(weight, inputs, 150, rho=100.0, iterations=1)
    hessian = damped(inputs, 0.01)
    assert error(weight, new, hessian) < 0.8 * error(weight, largest, hessian)


@pytest.fixture(scope="module")
def tokens(tmp_path_factory) -> torch.Tensor:
    """Calibration tokens of scale mini, without BOS."""
    recipe = {k: v for k, v in MINI["corpora"]["calibration"].items() if k != "batch"}
    file = tmp_path_factory.mktemp("corpus") / "calibration.safetensors"
    tokenizer = PreTrainedTokenizerFast.from_pretrained(MINIATURES / "tokenizer")
    texts = training_documents(build_world(), 2000, seed=1)
    corpora.build(recipe, texts, tokenizer, False, file)
    return torch.from_numpy(corpora.read(file)[0]).long()


def off(method, options, weight, statistic, keep):
    """tr((W - W')^T H (W - W')) that a method leaves."""
    chosen = method.Settings(**options)
    prepared = method.prepare(statistic, chosen)
    new, mask = method.prune(weight.clone(), prepared, keep, chosen)
    difference = (new.masked_fill(~mask, 0) - weight).double()
    return float(((difference @ statistic.matrix().double()) * difference).sum())


@pytest.mark.parametrize("model", MINI["grid"]["models"])
def test_errors_of_real_layers_are_smaller_than_admms(model, tokens):
    """With the settings of scale mini, and ADMM with either schedule, on the very same inputs."""
    ours, theirs = (MINI["methods"][name] for name in ("alps", "admm"))
    loaded = models.load_model(MINIATURES / model, "float32", "cpu")
    linears = prunable_linears(loaded)
    ratios = {}
    with torch.no_grad():
        for group in walk(loaded, linears, alps.Statistic, tokens.split(32), no_progress):
            statistic = Known(group.statistic.matrix())
            for name in group.names:
                weight = linears[name].weight
                for sparsity in (0.6, 0.7):
                    keep = round(weight.numel() * (1 - sparsity))
                    here = off(alps, ours, weight, statistic, keep)
                    for schedule in ("cubic", "constant"):
                        there = off(admm, {**theirs, "schedule": schedule}, weight, statistic, keep)
                        ratios[name, sparsity, schedule] = here / there
    assert len(ratios) == 28 * 2 * 2
    assert {case: ratio for case, ratio in ratios.items() if ratio > 0.99} == {}

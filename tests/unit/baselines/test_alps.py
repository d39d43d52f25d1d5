"""ALPS: what its weights are solutions of, that rounding decides little."""

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from baselines import alps
from baselines.sequential import prune_model
from leap_suite.miniature.text import training_documents
from leap_suite.miniature.world import build_world
from leap_suite.plan.config import MINIATURES, load
from leap_suite.stages import corpora, models
from tests.oracle import slow
from tests.oracle.test_layerwise import PROBLEMS, problem, run

MINI = load({"scale": "mini", "hub_mirror": ""})


@pytest.mark.parametrize("sparsity", [0.3, 0.63, 0.9])
@pytest.mark.parametrize("name", PROBLEMS)
def test_with_enough_steps_no_other_weights_under_the_mask_are_better(name, sparsity):
    weight, inputs = problem(name)
    keep = round(weight.numel() * (1 - sparsity))
    new, mask = run(alps, weight, inputs, keep, steps=300)
    hessian = inputs.T @ inputs / len(inputs)
    live = hessian.diagonal() > 0
    hessian += torch.diag(live * 0.01 * hessian.diagonal().sum() / live.sum().clamp(min=1))
    gradient = ((new - weight) @ hessian) * mask
    assert gradient.abs().max() <= 1e-8 * (weight @ hessian).abs().max()


def test_many_steps_end_in_rounding_and_not_in_noise():
    weight, inputs = problem("plain")
    few, many = (run(alps, weight, inputs, 50, steps=steps)[0] for steps in (30, 1000))
    torch.testing.assert_close(few, many, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("rho", [10.0, 1.0])
def test_a_smaller_penalty_continues_after_no_change_and_restarts_after_a_small_one(rho):
    """From 10 no element of the mask changes at first, from 1 two elements."""
    random = torch.Generator().manual_seed(1)
    weight = torch.randn(16, 32, generator=random).double()
    inputs = torch.randn(90, 32, generator=random).double()
    inputs @= (torch.eye(32) + torch.randn(32, 32, generator=random) / 4).double()
    new, mask = run(alps, weight, inputs, 440, rho=rho, iterations=6, steps=0)
    expected, expected_mask = slow.alps(weight, inputs, 440, rho=rho, iterations=6, steps=0)
    assert torch.equal(mask, expected_mask)
    torch.testing.assert_close(new, expected, rtol=1e-9, atol=1e-12)


def test_masks_of_a_model_do_not_depend_on_the_batches_in_which_its_inputs_are_computed(tmp_path):
    recipe = {k: v for k, v in MINI["corpora"]["calibration"].items() if k != "batch"}
    tokenizer = PreTrainedTokenizerFast.from_pretrained(MINIATURES / "tokenizer")
    texts = training_documents(build_world(), 2000, seed=1)
    corpora.build(recipe, texts, tokenizer, True, tmp_path / "text.safetensors")
    tokens = torch.from_numpy(corpora.read(tmp_path / "text.safetensors")[0]).long()

    def masks(batch):
        model = models.load_model(MINIATURES / "mini-llama-3.2-3b", "float32", "cpu")
        chosen = alps.Settings(**MINI["methods"]["alps"])
        return prune_model(model, alps, chosen, 0.6, tokens.split(batch)).masks

    whole, parts = masks(32), masks(8)
    assert {name: n for name in whole if (n := int((whole[name] != parts[name]).sum()))} == {}

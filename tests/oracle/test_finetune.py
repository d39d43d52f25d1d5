"""Fine-tuning against a slow implementation: float64, plain autograd, no module replaced."""

import pytest
import torch

from leap.execution import Execution
from leap.methods.finetune import Settings, learn_weights
from tests.oracle import slow_training as slow
from tests.oracle.slow_training import llama, tokens

TRAINING = {"sparsity": 0.6, "steps": 11, "batch": 4, "learning_rate": 1e-2, "warmup_steps": 3,
            "seed": 5}  # fmt: skip
STARTED = "model.layers.0.mlp.up_proj", "model.layers.1.self_attn.v_proj"


def masks_of(model, sparsity=0.6):
    """Random masks of the exact number, unequal over the layers, by layer."""
    random = torch.Generator().manual_seed(2)
    shapes = {name: model.get_parameter(name).shape for name in slow.prunable(model)}
    total = sum(slow.counts(model, sparsity).values())
    scores = torch.rand(sum(shape.numel() for shape in shapes.values()), generator=random)
    parts = slow.kept(scores, total).split([shape.numel() for shape in shapes.values()])
    return {
        name.removesuffix(".weight"): part.view(shape)
        for (name, shape), part in zip(shapes.items(), parts, strict=True)
    }


def start_of(model):
    """Weights of some layers as another method left them, also where its mask has zeros."""
    random = torch.Generator().manual_seed(3)
    shapes = {name: model.get_submodule(name).weight.shape for name in STARTED}
    return {name: torch.randn(shape, generator=random) / 4 for name, shape in shapes.items()}


def finetune(model, blocks, s, masks, start):
    """Weights, masks and one line of metrics per step."""
    skipped = round(s.mask_share * s.steps)
    masks = {f"{name}.weight": mask for name, mask in masks.items()}
    dense = {name: model.get_parameter(name).detach().clone() for name in masks}
    first = {**dense, **{f"{name}.weight": x.double() for name, x in start.items()}}
    w = {name: torch.where(mask, first[name], 0.0) for name, mask in masks.items()}
    adam, lines = slow.AdamW(w), []
    for step in range(s.steps - skipped):
        ids, leaves = slow.batch_of(blocks, s, skipped + step), slow.leaves_of(w)
        found = slow.predictions(model, leaves, ids)
        with torch.no_grad():
            wanted = slow.predictions(model, dense, ids)
        lm_loss = slow.lm_loss(found, ids)
        divergence = (wanted.exp() * (wanted - found)).sum(dim=1).mean()
        loss = (1 - s.distil) * lm_loss + s.distil * divergence
        grads = {n: g * masks[n] for n, g in slow.gradients(loss, leaves).items()}
        grads, norm = slow.clipped(grads, s.max_grad_norm)
        rate = slow.rate_at(s, step, s.steps - skipped)
        adam.move(w, grads, rate, s.weight_decay)
        terms = {"loss": loss.item(), "divergence": divergence.item()} if s.distil else {}
        lines.append(
            {**terms, "lm_loss": lm_loss.item(), "learning_rate": rate, "gradient_norm": norm}
        )
    return w, masks, lines


VARIANTS = {
    "plain": {"max_grad_norm": 0.0},
    "clipped": {"max_grad_norm": 0.2},
    "weights that decay": {"weight_decay": 0.1},
    "from the weights of another method": {"start": start_of},
    "distilled": {"distil": 0.3},
    "distilled only, from other weights": {"distil": 1.0, "start": start_of},
    "distilled, lean": {"distil": 0.5, "how": {"micro_batch": 2, "checkpointing": True}},
    "half of the budget": {"mask_share": 0.5, "batch": 3},
    "most of the budget, distilled": {"mask_share": 0.7, "distil": 0.4, "warmup_steps": 1},
    "nine in ten, tied, sequence by sequence": {
        "sparsity": 0.9, "shape": "tied", "distil": 0.3, "how": {"micro_batch": 1},
    },
    "biased": {"shape": "biased", "distil": 0.3},
}  # fmt: skip


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_weights_and_metrics_agree_with_the_slow_implementation(changes):
    changes = dict(changes)
    shape, execution = changes.pop("shape", "plain"), Execution(**changes.pop("how", {}))
    model, exact = llama(shape=shape), llama(torch.float64, shape)
    start = changes.pop("start", lambda model: {})(model)
    settings, lines = Settings(**{**TRAINING, **changes}), []
    masks = masks_of(model, settings.sparsity)
    expected = finetune(exact, tokens(), settings, masks, start)
    found = learn_weights(
        model, tokens(), settings, masks=masks, start=start,
        execution=execution, report=lambda _, v: lines.append(v),
    )  # fmt: skip
    slow.assert_agree(found, lines, expected)


def test_every_part_of_the_algorithm_changes_the_result():
    parts = [{}, {"max_grad_norm": 0.2}, {"weight_decay": 0.1}, {"distil": 0.3}, {"distil": 1.0},
             {"mask_share": 0.5}, {"steps": 5}, {"start": start_of(llama())}]  # fmt: skip

    def learned(start=None, **part):
        settings = Settings(**{**TRAINING, **part})
        return learn_weights(llama(), tokens(), settings, masks=masks_of(llama()), start=start)

    slow.assert_all_differ(learned(**part) for part in parts)

"""Gradual magnitude pruning against a slow implementation: float64, no module replaced."""

import pytest
import torch

from leap.execution import Execution
from leap.methods.gmp import Settings, learn_weights
from tests.oracle import slow_training as slow
from tests.oracle.slow_training import llama, tokens

TRAINING = {"sparsity": 0.6, "steps": 12, "batch": 4, "learning_rate": 1e-2, "warmup_steps": 3,
            "ramp": 0.7, "interval": 3, "decay": 0.1, "seed": 5}  # fmt: skip


def gmp(model, blocks, s):
    """Weights, masks and one line of metrics per step."""
    w = {name: model.get_parameter(name).detach().clone() for name in slow.prunable(model)}
    last, sparsity = round(s.ramp * s.steps), 0.0 if round(s.ramp * s.steps) else s.sparsity
    adam, lines, scores = slow.AdamW(w), [], {name: x.abs() for name, x in w.items()}
    masks = {n: slow.kept(scores[n], c) for n, c in slow.counts(model, sparsity).items()}
    for step in range(s.steps):
        ids = slow.batch_of(blocks, s, step)
        leaves = slow.leaves_of({n: torch.where(masks[n], w[n], 0.0) for n in w})
        loss = slow.lm_loss(slow.predictions(model, leaves, ids), ids)
        # straight through: the gradient of the masked weights is that of all weights
        grads, norm = slow.clipped(slow.gradients(loss, leaves), s.max_grad_norm)
        for n in w:
            if step < last:
                grads[n] = grads[n] + s.decay * torch.where(masks[n], 0.0, w[n])
            else:
                grads[n] = torch.where(masks[n], grads[n], 0.0)
        rate = slow.rate_at(s, step, s.steps)
        adam.move(w, grads, rate, s.weight_decay)
        lines.append({"lm_loss": loss.item(), "density": 1 - sparsity, "learning_rate": rate,
                      "gradient_norm": norm})  # fmt: skip
        now = step + 1
        if now == last or (now < last and now % s.interval == 0):
            sparsity = s.sparsity - s.sparsity * (1 - now / last) ** 3
            for n, count in slow.counts(model, sparsity).items():
                moment = adam.moment(n) if s.criterion == "moment" else 1.0
                masks[n] = slow.kept(moment * w[n] ** 2, count)
    return w, masks, lines


VARIANTS = {
    "plain": {"max_grad_norm": 0.0},
    "by Adam's second moment": {"criterion": "moment"},
    "new masks after every step": {"interval": 1},
    "one mask, at the end of the ramp": {"interval": 20},
    "clipped, with a strong decay": {"max_grad_norm": 0.2, "decay": 2.0},
    "no decay of removed weights": {"decay": 0.0},
    "weights that decay": {"weight_decay": 0.1},
    "pruned at once": {"ramp": 0.0},
    "pruned to the end": {"ramp": 1.0, "criterion": "moment"},
    "sequence by sequence, lean": {"how": {"micro_batch": 1, "checkpointing": True}},
    "nine in ten, tied": {"sparsity": 0.9, "batch": 9, "shape": "tied"},
    "biased": {"shape": "biased", "criterion": "moment", "interval": 2},
}


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_weights_masks_and_metrics_agree_with_the_slow_implementation(changes):
    changes = dict(changes)
    shape, execution = changes.pop("shape", "plain"), Execution(**changes.pop("how", {}))
    settings, lines = Settings(**{**TRAINING, **changes}), []
    expected = gmp(llama(torch.float64, shape), tokens(), settings)
    found = learn_weights(
        llama(shape=shape), tokens(), settings,
        execution=execution, report=lambda _, v: lines.append(v),
    )  # fmt: skip
    slow.assert_agree(found, lines, expected)


def test_every_part_of_the_algorithm_changes_the_result():
    parts = [{}, {"criterion": "moment"}, {"interval": 1}, {"interval": 20}, {"ramp": 0.0},
             {"ramp": 1.0}, {"decay": 0.0}, {"max_grad_norm": 0.2},
             {"weight_decay": 0.1}]  # fmt: skip
    slow.assert_all_differ(
        learn_weights(llama(), tokens(), Settings(**{**TRAINING, **part})) for part in parts
    )

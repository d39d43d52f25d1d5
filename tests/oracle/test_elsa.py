"""ELSA against a slow implementation: float64, plain loops, no module replaced."""

import pytest
import torch

from leap.execution import Execution
from leap.methods.elsa import Settings, learn_weights
from leap.settings import ELSA_PRESETS
from tests.oracle import slow_training as slow
from tests.oracle.slow_training import llama, tokens

TRAINING = {"sparsity": 0.6, "steps": 11, "batch": 4, "learning_rate": 1e-2, "warmup_steps": 3,
            "penalty": 0.05, "interval": 3, "seed": 5}  # fmt: skip
TINY = {"steps": 11, "batch": 4, "interval": 3, "learning_rate": 3e-3}


def elsa(model, blocks, s):
    """Weights, masks and one line of metrics per step."""
    count = slow.counts(model, s.sparsity)
    parameters = {name: p.detach().clone() for name, p in model.named_parameters()}
    w = parameters if s.trained == "all" else {name: parameters[name] for name in count}
    u = {n: torch.zeros_like(w[n]) for n in count}
    z = {n: torch.where(slow.kept(w[n].abs(), count[n]), w[n], 0.0) for n in count}
    adam, lines = slow.AdamW(w), []

    def mask_of(name, x):
        if s.projection == "magnitude":
            return slow.kept(x.abs(), count[name])
        return slow.kept(adam.moment(name) * x**2, count[name])

    for step in range(s.steps):
        ids, leaves = slow.batch_of(blocks, s, step), slow.leaves_of(w)
        loss = slow.lm_loss(slow.predictions(model, leaves, ids), ids)
        penalty = sum(((w[n] - z[n] + u[n]) ** 2).sum() for n in count) * s.penalty / 2
        pulls = {n: s.penalty * (w[n] - z[n] + u[n]) for n in count}
        grads = slow.gradients(loss, leaves)
        if s.clipping == "loss":
            grads, norm = slow.clipped(grads, s.max_grad_norm)
        grads = {n: g + pulls[n] if n in pulls else g for n, g in grads.items()}
        if s.clipping == "sum":
            grads, norm = slow.clipped(grads, s.max_grad_norm)
        residual = sum(float(((w[n] - z[n]) ** 2).sum()) for n in count)
        size = sum(float((w[n] ** 2).sum()) for n in count)
        rate = slow.rate_at(s, step, s.steps, s.decay)
        adam.move(w, grads, rate, s.weight_decay)
        due = step % s.interval == 0 if s.update_at == "start" else (step + 1) % s.interval == 0
        for n in count if due else []:
            z[n] = torch.where(mask_of(n, w[n] + u[n]), w[n] + u[n], 0.0)
            u[n] = u[n] + (w[n] - z[n])
        lines.append(
            {"lm_loss": loss.item(), "penalty_term": penalty.item(), "learning_rate": rate,
             "gradient_norm": norm, "primal_residual": (residual / size) ** 0.5}
        )  # fmt: skip
    return w, {n: mask_of(n, w[n]) for n in count}, lines


VARIANTS = {
    "plain": {},
    "by Adam's second moment": {"projection": "moment"},
    "a projection after every step": {"interval": 1, "penalty": 0.5},
    "no projection before the end": {"interval": 12},
    "clipped": {"max_grad_norm": 0.5},
    "weights that decay": {"weight_decay": 0.1},
    "sequence by sequence, lean": {"how": {"micro_batch": 1, "checkpointing": True}},
    "nine in ten": {"sparsity": 0.9, "batch": 9},
    "only the loss clipped": {"max_grad_norm": 0.2, "clipping": "loss", "penalty": 0.5},
    "linear decay": {"decay": "linear", "warmup_steps": 2},
    "updates at the start": {"update_at": "start", "interval": 4},
    "all trained": {"trained": "all", "max_grad_norm": 0.5, "weight_decay": 0.1},
    "all trained, tied": {"trained": "all", "shape": "tied", "projection": "moment"},
    "all trained, biased, lean": {
        "trained": "all", "shape": "biased", "max_grad_norm": 0.5, "clipping": "loss",
        "how": {"micro_batch": 2, "checkpointing": True},
    },
    **{
        f"the authors' code, {shape}": {
            **ELSA_PRESETS["public-code"], **TINY, "max_grad_norm": 0.5, "shape": shape,
        }
        for shape in slow.SHAPES
    },
}  # fmt: skip


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_weights_masks_and_metrics_agree_with_the_slow_implementation(changes):
    changes = dict(changes)
    shape, execution = changes.pop("shape", "plain"), Execution(**changes.pop("how", {}))
    settings, lines = Settings(**{**TRAINING, **changes}), []
    expected = elsa(llama(torch.float64, shape), tokens(), settings)
    found = learn_weights(
        llama(shape=shape), tokens(), settings,
        execution=execution, report=lambda _, v: lines.append(v),
    )  # fmt: skip
    slow.assert_agree(found, lines, expected)


def test_the_preset_is_what_the_public_code_does():
    preset = ELSA_PRESETS["public-code"]
    assert preset.keys() == Settings.__dataclass_fields__.keys() - {"sparsity", "seed"}
    assert {name: preset[name] for name in ("clipping", "decay", "update_at", "trained")} == {
        "clipping": "loss", "decay": "linear", "update_at": "start", "trained": "all",
    }  # fmt: skip
    assert (preset["max_grad_norm"], preset["warmup_steps"], preset["interval"]) == (1.0, 0, 32)


def test_every_part_of_the_algorithm_changes_the_result():
    parts = [
        {}, {"projection": "moment"}, {"penalty": 0.0}, {"interval": 12}, {"interval": 1},
        {"max_grad_norm": 0.2}, {"max_grad_norm": 0.2, "clipping": "loss"},
        {"decay": "linear"}, {"update_at": "start"}, {"trained": "all"},
    ]  # fmt: skip
    slow.assert_all_differ(
        learn_weights(llama(), tokens(), Settings(**{**TRAINING, **part})) for part in parts
    )

"""Reconstruction: new values for the weights that another method keeps, its masks as they are.

Wagner et al. 2025, "A Free Lunch in LLM Compression", arXiv 2510.14444. Written after its
abstract; neither the whole paper nor its code was at hand. Block by block, attention and then the
MLP, Adam tunes the kept weights of a sub-module so that what it puts out for the pruned model's
hidden states is what the dense one does. A sub-module is a child of the block that holds linear
layers, and its output what the child itself returns, before any norm or residual sum. This is a
method and its own driver.

Axes: B sequences, T tokens, H hidden, O outputs, I inputs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn

from baselines.allocation import of_masks
from baselines.replay import Call, record, record_inside, record_outputs
from baselines.sequential import Progress, Pruned, no_progress
from baselines.submodules import Submodule, submodules
from leap.model.layers import decoder_blocks, prunable_linears

Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class Settings:
    """`learning_rate` of Adam falls linearly to 0 over `epochs` passes over the calibration text.

    `batch`: sequences of a step, in the corpus' order. `inputs`: hidden states for which the dense
    sub-module's output is the target, those of the dense model or those of the pruned one.
    """

    learning_rate: float = 1e-3
    epochs: int = 10
    batch: int = 8
    inputs: str = "dense"


@dataclass(frozen=True)
class Examples:
    """What a sub-module is to do: its calls, input hidden states and targets by batch."""

    calls: list[Call]
    inputs: list[Tensor]
    targets: list[Tensor]

    def square(self) -> float:
        """The mean square of the targets' elements, 1 where they are all zero."""
        total = sum(float(target.float().square().sum()) for target in self.targets)
        return total / sum(target.numel() for target in self.targets) or 1.0


@torch.no_grad()
def prune_model(
    model: nn.Module,
    settings: Settings,
    sparsity: float,
    batches: Sequence[Tensor],
    masks: Weights,
    weights: Weights,
    progress: Progress = no_progress,
) -> Pruned:
    """Prune the dense `model` in place with the `masks` [O, I] of another method.

    Tuning starts from the `weights` [O, I] that the other method left, or, in the layers that are
    not among them, from the dense ones. `batches` are calibration token ids [B, T] on the model's
    device. A sub-module whose error on them did not fall keeps the weights that it began with.
    Every sub-module is an event: its error before and after, as the mean square of the difference
    over that of the target, and whether tuning was undone. Raises ValueError for masks of another
    model or sparsity, numbers that are not finite, and blocks that do not run sub-module by
    sub-module.
    """
    model.eval()
    of_masks(model, masks, sparsity)
    prefix, blocks = decoder_blocks(model)
    recording = record(model, blocks, torch.cat(list(batches)).split(settings.batch))
    hidden = recording.hidden
    dense_hidden = list(hidden) if settings.inputs == "dense" else []
    events: list[dict[str, Any]] = []
    changed: set[str] = set()
    for index, block in enumerate(progress(blocks, "blocks")):
        calls, recording.calls[index] = recording.calls[index], []
        parts = submodules(block, f"{prefix}.{index}", calls[0], hidden[0])
        dense = {n: m.weight.clone() for part in parts for n, m in part.linears.items()}
        targets: dict[str, list[Tensor]] = {}
        if settings.inputs == "dense":
            modules = {part.name: part.module for part in parts}
            targets = record_outputs(block, modules, calls, dense_hidden)
        for part in parts:
            _start(part, masks, weights)
        for part in parts:
            of_dense = targets.pop(part.name, None)
            examples = _examples(block, part, calls, hidden, of_dense, dense)
            events.append(_reconstruct(part, masks, examples, settings))
            changed |= _changed(part, dense, masks)
            del of_dense, examples  # as large as the hidden states
        record_outputs(block, {}, calls, hidden)
    linears = prunable_linears(model)
    in_order = {name: masks[name].clone() for name in linears}
    return Pruned(in_order, events, [name for name in linears if name in changed])


def _start(part: Submodule, masks: Weights, weights: Weights) -> None:
    """Put in the weights that tuning starts from."""
    for name, linear in part.linears.items():
        if name in weights:
            linear.weight.copy_(weights[name])
        linear.weight.masked_fill_(~masks[name].to(linear.weight.device), 0)


def _examples(
    block: nn.Module,
    part: Submodule,
    calls: Sequence[Call],
    hidden: Sequence[Tensor],
    targets: list[Tensor] | None,
    dense: Weights,
) -> Examples:
    """What the sub-module sees in the block pruned so far; without targets, the dense one's."""
    inside, inputs = record_inside(block, part.module, calls, hidden)
    if targets is None:
        run = part.with_weights({name: dense[name] for name in part.linears})
        targets = [call.run(run, x_BTH) for call, x_BTH in zip(inside, inputs, strict=True)]
    return Examples(inside, inputs, targets)


def _reconstruct(
    part: Submodule, masks: Weights, examples: Examples, settings: Settings
) -> dict[str, Any]:
    """Tune the sub-module in place, if its error falls by that; the event that tells of it."""
    scale = examples.square()
    begun = {name: linear.weight.clone() for name, linear in part.linears.items()}
    before = _error(part.with_weights(begun), examples) / scale
    if not isfinite(before):
        raise ValueError(f"{part.name}: a weight or a hidden state of it is not finite")
    tuned = tune(part, masks, examples, settings)
    after = _error(part.with_weights(tuned), examples) / scale
    fell = after < before  # not so where it is no number
    if fell:
        for name, linear in part.linears.items():
            linear.weight.copy_(tuned[name])
    return {
        "layers": list(part.linears),
        "error_before": before,
        "error_after": after if fell else before,
        "undone": int(not fell),
    }


def tune(part: Submodule, masks: Weights, examples: Examples, settings: Settings) -> Weights:
    """The sub-module's weights [O, I] after Adam, in its own dtype; it stays as it is.

    Adam works on float32 copies, which are rounded for every pass; what a mask removes has no
    gradient, and so no moments and no steps. The loss of a step is its batch's mean square of the
    difference over the mean square of all targets.
    """
    dtype = {name: linear.weight.dtype for name, linear in part.linears.items()}
    master = {name: linear.weight.float().clone() for name, linear in part.linears.items()}
    removed = {name: ~masks[name].to(weight_OI.device) for name, weight_OI in master.items()}
    for weight_OI in master.values():
        weight_OI.requires_grad_()

    def rounded() -> dict[str, Tensor]:
        return {name: weight_OI.to(dtype[name]) for name, weight_OI in master.items()}

    # one matrix at a time, whose temporaries are the smallest
    adam = torch.optim.Adam(master.values(), lr=settings.learning_rate, foreach=False)
    scale = examples.square()
    steps = settings.epochs * len(examples.calls)
    for step in range(steps):
        batch = step % len(examples.calls)
        with torch.enable_grad():
            loss = _batch_error(part.with_weights(rounded()), examples, batch).mean() / scale
            gradients = torch.autograd.grad(loss, list(master.values()))
        for (name, weight_OI), gradient_OI in zip(master.items(), gradients, strict=True):
            weight_OI.grad = gradient_OI.masked_fill_(removed[name], 0)
        adam.param_groups[0]["lr"] = settings.learning_rate * (1 - step / steps)
        adam.step()
        adam.zero_grad()  # or these gradients wait for the next ones
    return rounded()


def _error(run: Callable[..., Any], examples: Examples) -> float:
    """The mean square of the difference between what `run` puts out and the targets."""
    totals = (_batch_error(run, examples, batch).sum() for batch in range(len(examples.calls)))
    elements = sum(target.numel() for target in examples.targets)
    return sum(float(total) for total in totals) / elements


def _batch_error(run: Callable[..., Any], examples: Examples, batch: int) -> Tensor:
    """Squared differences of one batch [B, T, H] in float32."""
    output = examples.calls[batch].run(run, examples.inputs[batch])
    return (output.float() - examples.targets[batch].float()).square()


def _changed(part: Submodule, dense: Weights, masks: Weights) -> set[str]:
    """The layers in which a weight that survives is not the dense one."""
    differs = {n: (m.weight != dense[n]).cpu() & masks[n] for n, m in part.linears.items()}
    return {name for name, differs_OI in differs.items() if differs_OI.any()}

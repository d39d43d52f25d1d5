"""Reconstruction: retrain the weights that another method keeps, with its masks fixed.

Wagner et al. 2025, "A Free Lunch in LLM Compression", arXiv 2510.14444. Written after its
abstract and a description of its code, neither of which is copied. Block by block, attention and
then the MLP, Adam fits the output of a sub-module on the pruned model's hidden states, or on the
dense model's as in the authors' code, to the output of the dense sub-module. A sub-module is a
child of the block that holds linear layers, with the norm before it where `norms` is set; its
output is the child's return value, before any other norm or residual sum. This method is its own
driver.

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

    `batch`: sequences per step, in the order of the corpus. `inputs`: whose hidden states (those of
    the `dense` or the `pruned` model) the dense sub-module maps to the targets. `trained_on`: whose
    hidden states the pruned sub-module maps; `dense` needs dense `inputs`, and nothing is passed on
    from pruned blocks then. `norms`: also train the norm before a sub-module. `warmup`: share of
    the steps in which the rate rises linearly first. The authors' code has the last three as
    `dense`, True and 0.1, a batch of 2 and one epoch. Raises ValueError for other values.
    """

    learning_rate: float = 1e-3
    epochs: int = 10
    batch: int = 8
    inputs: str = "dense"
    trained_on: str = "pruned"
    norms: bool = False
    warmup: float = 0.0

    def __post_init__(self) -> None:
        if self.trained_on == "dense" and self.inputs != "dense":
            raise ValueError("trained_on: dense needs inputs: dense, the same hidden states")


@dataclass(frozen=True)
class Examples:
    """Training examples of a sub-module: calls, input hidden states and targets by batch."""

    calls: list[Call]
    inputs: list[Tensor]
    targets: list[Tensor]

    def square(self) -> float:
        """Mean square of the targets' elements, 1 where all are zero."""
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

    Training starts from the other method's `weights` [O, I], and from the dense weights of layers
    that are not among them. `batches` are calibration token ids [B, T] on the model's device. A
    sub-module whose error on them does not fall keeps its initial weights. Every sub-module is an
    event: mean squared error before and after, relative to the mean square of the target, and
    whether training was undone. Raises ValueError for masks of another model or sparsity,
    non-finite numbers, and blocks that do not run sub-module by sub-module.
    """
    model.eval()
    of_masks(model, masks, sparsity)
    prefix, blocks = decoder_blocks(model)
    recording = record(model, blocks, torch.cat(list(batches)).split(settings.batch))
    hidden = recording.hidden
    dense_hidden = list(hidden) if settings.inputs == "dense" else []
    events: list[dict[str, Any]] = []
    changed: set[str] = set()
    beside: list[str] = []
    on_dense = settings.trained_on == "dense"
    for index, block in enumerate(progress(blocks, "blocks")):
        calls, recording.calls[index] = recording.calls[index], []
        parts = submodules(block, f"{prefix}.{index}", calls[0], hidden[0], settings.norms)
        dense = {n: p.clone() for part in parts for n, p in part.parameters().items()}
        targets: dict[str, list[Tensor]] = {}
        seen = {p.name: _seen(block, p, calls, hidden) for p in parts} if on_dense else {}
        if settings.inputs == "dense":
            modules = {part.name: part.module for part in parts}
            targets = record_outputs(block, modules, calls, dense_hidden)
        for name, linear in (item for part in parts for item in part.linears.items()):
            start_OI = weights.get(name, linear.weight).to(linear.weight)
            linear.weight.copy_(start_OI.masked_fill(~masks[name].to(start_OI.device), 0))
        for part in parts:
            of_dense = targets.pop(part.name, None)
            of_part = seen.pop(part.name, None) or _seen(block, part, calls, hidden)
            examples = _examples(part, of_part, of_dense, dense)
            events.append(_reconstruct(part, masks, examples, settings))
            changed |= _changed(part, dense, masks)
            beside += [
                name
                for name, parameter in part.parameters().items()
                if name not in part.linears and not torch.equal(parameter, dense[name])
            ]
            del of_part, of_dense, examples  # as large as the hidden states
        if on_dense:
            hidden = list(dense_hidden)
        else:
            record_outputs(block, {}, calls, hidden)
    linears = prunable_linears(model)
    in_order = {name: masks[name].clone() for name in linears}
    return Pruned(in_order, events, [name for name in linears if name in changed], beside)


def _seen(
    block: nn.Module, part: Submodule, calls: Sequence[Call], hidden: Sequence[Tensor]
) -> tuple[list[Call], list[Tensor]]:
    """Calls of the sub-module in the block as it is, and its inputs."""
    inside, inputs = record_inside(block, part.module, calls, hidden)
    if part.norm:
        inputs = record_inside(block, part.norm, calls, hidden)[1]
    return inside, inputs


def _examples(
    part: Submodule,
    seen: tuple[list[Call], list[Tensor]],
    targets: list[Tensor] | None,
    dense: Weights,
) -> Examples:
    """Examples of the sub-module for what it has `seen`; by default its dense targets."""
    inside, inputs = seen
    if targets is None:
        run = part.with_weights({name: dense[name] for name in part.parameters()})
        targets = [call.run(run, x_BTH) for call, x_BTH in zip(inside, inputs, strict=True)]
    return Examples(inside, inputs, targets)


def _reconstruct(
    part: Submodule, masks: Weights, examples: Examples, settings: Settings
) -> dict[str, Any]:
    """Tune the sub-module in place if that lowers its error; the event."""
    before = _error(part, part.parameters(), examples)
    if not isfinite(before):
        raise ValueError(f"{part.name}: a weight or a hidden state is not finite")
    tuned = tune(part, masks, examples, settings)
    after = _error(part, tuned, examples)
    fell = after < before  # False for NaN
    if fell:
        for name, parameter in part.parameters().items():
            parameter.copy_(tuned[name])
    return {
        "layers": list(part.linears),
        "error_before": before,
        "error_after": after if fell else before,
        "undone": int(not fell),
    }


def tune(part: Submodule, masks: Weights, examples: Examples, settings: Settings) -> Weights:
    """Parameters of the sub-module after Adam, in its dtype; the sub-module is not changed.

    Adam works on float32 copies, rounded for every forward pass; removed weights have no gradient
    and never move. The loss of a step is its batch's mean squared error over the mean square of
    all targets.
    """
    dtype = {name: parameter.dtype for name, parameter in part.parameters().items()}
    master = {name: parameter.float().clone() for name, parameter in part.parameters().items()}
    removed = {name: ~masks[name].to(master[name].device) for name in part.linears}
    for weight_OI in master.values():
        weight_OI.requires_grad_()

    def rounded() -> dict[str, Tensor]:
        return {name: weight_OI.to(dtype[name]) for name, weight_OI in master.items()}

    # one matrix at a time, for small temporaries
    adam = torch.optim.Adam(master.values(), lr=settings.learning_rate, foreach=False)
    scale = examples.square()
    steps = settings.epochs * len(examples.calls)
    for step in range(steps):
        batch = step % len(examples.calls)
        with torch.enable_grad():
            loss = _batch_error(part.with_weights(rounded()), examples, batch).mean() / scale
            gradients = torch.autograd.grad(loss, list(master.values()))
        for (name, weight_OI), gradient_OI in zip(master.items(), gradients, strict=True):
            weight_OI.grad = gradient_OI
            if name in removed:
                gradient_OI.masked_fill_(removed[name], 0)
        adam.param_groups[0]["lr"] = settings.learning_rate * _factor(step, steps, settings.warmup)
        adam.step()
        adam.zero_grad()  # frees these gradients before the next ones
    return rounded()


def _factor(step: int, steps: int, warmup: float) -> float:
    """Share of the learning rate in a step: up to 1 in the warm-up, then down towards 0."""
    rising = round(warmup * steps)
    return (step + 1) / rising if step < rising else 1 - (step - rising) / (steps - rising)


def _error(part: Submodule, weights: Weights, examples: Examples) -> float:
    """Mean squared error of the sub-module with these weights, relative to the targets."""
    run = part.with_weights(weights)
    totals = [
        float(_batch_error(run, examples, batch).sum()) for batch in range(len(examples.calls))
    ]
    elements = sum(target.numel() for target in examples.targets)
    return sum(totals) / elements / examples.square()


def _batch_error(run: Callable[..., Any], examples: Examples, batch: int) -> Tensor:
    """Squared differences of one batch [B, T, H] in float32."""
    output = examples.calls[batch].run(run, examples.inputs[batch])
    return (output.float() - examples.targets[batch].float()).square()


def _changed(part: Submodule, dense: Weights, masks: Weights) -> set[str]:
    """Layers in which a surviving weight differs from the dense one."""
    differs = {n: (m.weight != dense[n]).cpu() & masks[n] for n, m in part.linears.items()}
    return {name for name, differs_OI in differs.items() if differs_OI.any()}

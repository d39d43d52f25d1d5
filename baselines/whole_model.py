"""Driver for `budget: global`: all weights of the model compete, by scores of the dense model.

Scores come from the walk of `baselines.sequential`; nothing is pruned before all scores are
known. Axes: O outputs, I inputs.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from baselines.registry import Method
from baselines.sequential import Progress, Pruned, no_progress, prepare, walk
from leap.methods.leap.selection import exact_masks
from leap.model.layers import prunable_linears


@torch.no_grad()
def prune_model(
    model: nn.Module,
    method: Method,
    settings: Any,
    sparsity: float,
    batches: Sequence[Tensor],
    progress: Progress = no_progress,
) -> Pruned:
    """Prune `model` in place, as `baselines.sequential.prune_model` does.

    The model keeps exactly the round((1 - sparsity) * weights) weights with the best scores. All
    scores are held in CPU memory, 4 bytes per weight. Raises ValueError where a score is not
    finite, or where the family's blocks cannot be run one at a time.
    """
    model.eval()
    linears = prunable_linears(model)
    scores: dict[str, Tensor] = {}
    for group in walk(model, linears, method.Statistic, batches, progress):
        prepared = prepare(group, method, settings)
        scores |= {name: method.score(linears[name].weight, prepared).cpu() for name in group.names}
    for name, score_OI in scores.items():
        if not torch.isfinite(score_OI).all():
            raise ValueError(f"{name}: a pruning score is not finite")
    masks = exact_masks({name: scores[name] for name in linears}, sparsity)
    for name, linear in linears.items():
        linear.weight.masked_fill_(~masks[name].to(linear.weight.device), 0)
    return Pruned(masks, events=[], changed=[])

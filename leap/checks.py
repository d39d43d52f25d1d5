"""What a training refuses before it begins. Axes: S sequences, T tokens."""

from collections.abc import Mapping

from torch import Tensor, nn

from leap import parallel
from leap.layers import prunable_linears
from leap.settings import Settings


def check_training(
    model: nn.Module,
    blocks_ST: Tensor,
    settings: Settings,
    masks: Mapping[str, Mapping[str, Tensor] | None],
) -> None:
    """Raise ValueError for tokens or masks (by kind) of no use to this model.

    Also for a batch that the processes cannot share evenly.
    """
    if blocks_ST.ndim != 2 or len(blocks_ST) == 0 or blocks_ST.shape[1] < 2:
        raise ValueError(
            "training tokens must be [sequences, tokens], at least one sequence of two tokens, "
            f"not {tuple(blocks_ST.shape)}"
        )
    context = getattr(model.config, "max_position_embeddings", blocks_ST.shape[1])
    if blocks_ST.shape[1] > context:
        raise ValueError(
            f"training sequences have {blocks_ST.shape[1]} tokens, but the model's context is "
            f"{context}: make them shorter"
        )
    micro_batches = settings.batch // settings.micro_batch
    if micro_batches % parallel.world_size():
        raise ValueError(
            f"batch / micro_batch is {micro_batches}, which {parallel.world_size()} processes "
            "cannot share evenly: choose a multiple"
        )
    names = list(prunable_linears(model))
    for kind, given in masks.items():
        if given is not None and list(given) != names:
            raise ValueError(f"the {kind} masks are not those of this model's prunable layers")

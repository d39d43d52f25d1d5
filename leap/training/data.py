"""Training data of each step. Axes: S sequences, T tokens, B sequences of a micro-batch."""

from functools import lru_cache

import torch
from torch import Tensor

from leap.seeds import noise_seed
from leap.settings import Steps


def sequences(blocks_ST: Tensor, settings: Steps, step: int, places: range) -> Tensor:
    """Token ids [B, T], int64, at these places of a step's batch.

    The corpus comes in an order that is drawn anew for every epoch; steps follow each other
    through it.
    """
    start = step * settings.batch
    rows = [_row(settings.seed, start + place, len(blocks_ST)) for place in places]
    return blocks_ST[torch.stack(rows)].long()


def moved(ids_BT: Tensor, device: torch.device) -> Tensor:
    """Token ids on the device, copied asynchronously from pinned memory to a GPU."""
    if device.type != "cuda":
        return ids_BT.to(device)
    return ids_BT.pin_memory().to(device, non_blocking=True)


def _row(seed: int, place: int, sequences: int) -> Tensor:
    epoch, position = divmod(place, sequences)
    return _order(seed, epoch, sequences)[position]


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, sequences: int) -> Tensor:
    generator = torch.Generator().manual_seed(noise_seed(seed, -2, epoch))
    return torch.randperm(sequences, generator=generator)

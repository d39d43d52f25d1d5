"""Whether a model that is to be pruned has been pruned already."""

import logging
from pathlib import Path

from suite.stages.models import checkpoint_path

logger = logging.getLogger("suite")

_SUSPICIOUS = 0.1  # trained weights have hardly any; those of SmolLM2 in four bits 0.03 %
_NOT_PRUNED = ("embed", "lm_head")


def share_of_zeros(directory: Path) -> float:
    """Of the matrices in a model's checkpoint, embeddings and head apart, in `directory`.

    `directory` is the one with model.json. The tensors are read one after the other.
    """
    from safetensors import safe_open

    zeros = weights = 0
    for shard in sorted(checkpoint_path(directory).glob("*.safetensors")):
        with safe_open(shard, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118, the file is no dict
                if len(file.get_slice(key).get_shape()) != 2 or any(w in key for w in _NOT_PRUNED):
                    continue
                tensor = file.get_tensor(key)
                weights += tensor.numel()
                zeros += tensor.numel() - int(tensor.count_nonzero())
    return zeros / weights if weights else 0.0


def warn_of_zeros(directory: Path, model: str) -> None:
    """Say so where a model is sparse before it is pruned: its rows called dense are not."""
    share = share_of_zeros(directory)
    if share >= _SUSPICIOUS:
        logger.warning(
            "%.0f %% of the weights of %s are zero before anything is pruned: its rows named dense "
            "are those of a sparse model, and what is left of it is measured against that. Check "
            "models.%s.source if you meant the dense model",
            100 * share, model, model,
        )  # fmt: skip

"""Warning about models that are sparse before they are pruned."""

import logging
from pathlib import Path

from leap_suite.stages.models import checkpoint_path

logger = logging.getLogger("leap_suite")

_SUSPICIOUS = 0.1  # share of zeros; 0.03 % in the weights of SmolLM2 in four bits
_NOT_PRUNED = ("embed", "lm_head")


def share_of_zeros(directory: Path) -> float:
    """Share of zeros in the matrices of a checkpoint without embeddings and head.

    `directory` has model.json. Tensors are read one at a time.
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
    """Log a warning for a model whose dense checkpoint is sparse."""
    share = share_of_zeros(directory)
    if share >= _SUSPICIOUS:
        logger.warning(
            "%.0f %% of the weights of %s are zero before anything is pruned: its results named "
            "dense belong to a sparse model, and pruned ones are compared with that. Check "
            "models.%s.source if you meant the dense model",
            100 * share, model, model,
        )  # fmt: skip

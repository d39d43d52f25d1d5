"""LEAP: learnable end-to-end adaptive pruning of large language models.

learned = leap.learn_masks(model, blocks, leap.Settings(sparsity=0.6, steps=500, batch=8))
leap.apply_masks(model, leap.select_masks(learned))
"""

from importlib import import_module
from typing import Any

__all__ = ["PRESETS", "Settings", "apply_masks", "learn_masks", "select_masks"]

# torch takes seconds to import, and who needs one module of this package loads no other
_LATER = {
    "PRESETS": "leap.settings",
    "Settings": "leap.settings",
    "apply_masks": "leap.selecting",
    "learn_masks": "leap.training",
    "select_masks": "leap.selecting",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module 'leap' has no attribute {name!r}")

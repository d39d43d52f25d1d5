"""LEAP: learnable end-to-end adaptive pruning of large language models.

blocks = leap.token_blocks(texts, tokenizer, length=1024)
learned = leap.learn_masks(model, blocks, leap.Settings(sparsity=0.6, steps=500, batch=8))
leap.apply_masks(model, leap.select_masks(learned))
"""

from importlib import import_module
from typing import Any

__version__ = "0.2.0"
__all__ = ["PRESETS", "Settings", "apply_masks", "learn_masks", "select_masks", "token_blocks"]

# imported on first use: torch takes seconds
_LAZY = {
    "PRESETS": "leap.settings",
    "Settings": "leap.settings",
    "apply_masks": "leap.selection",
    "learn_masks": "leap.training.masks",
    "select_masks": "leap.selection",
    "token_blocks": "leap.blocks",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'leap' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]

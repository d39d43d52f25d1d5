"""LEAP: learnable end-to-end adaptive pruning of large language models.

learned = leap.learn_masks(model, blocks, leap.Settings(sparsity=0.6, steps=500, batch=8))
leap.apply_masks(model, learned.masks)
"""

from typing import Any

from leap.settings import PRESETS, Settings

__all__ = ["PRESETS", "Settings", "apply_masks", "learn_masks"]


def __getattr__(name: str) -> Any:
    # torch takes seconds to import, and planning needs the settings alone
    if name in ("learn_masks", "apply_masks"):
        from leap import training

        return getattr(training, name)
    raise AttributeError(f"module 'leap' has no attribute {name!r}")

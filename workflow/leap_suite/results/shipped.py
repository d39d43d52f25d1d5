"""Bytes to send to someone who has the dense checkpoint, so that they have the pruned one."""

import math
from collections.abc import Mapping
from typing import Any

_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


def shipped_bytes(manifest: Mapping[str, Any]) -> int:
    """A bit for each prunable weight, and every number that differs from the dense checkpoint's.

    These are the kept weights, where the method changes them, and parameters outside the prunable
    layers that it trained, in the dtype of the checkpoint. Nothing is compressed.
    """
    kept = manifest["survivors"] if manifest["kept_weights_changed"] else 0
    numbers = kept + manifest.get("changed_parameters", 0)
    return math.ceil(manifest["weights"] / 8) + numbers * _BYTES[manifest["dtype"]]

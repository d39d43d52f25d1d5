"""Torch tensors in files with a checksum, as `suite.artifacts.arrays` writes them."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from suite.artifacts.arrays import Content, compare, digest, entry, opened
from suite.artifacts.files import replacing
from suite.artifacts.lazily import Lazily
from suite.artifacts.masks import read_masks

if TYPE_CHECKING:
    from torch import Tensor


def save_tensors(tensors: Mapping[str, "Tensor"], path: str | Path) -> None:
    """Write torch tensors on the CPU, whole or not at all."""
    from safetensors.torch import save_file

    checksum = digest({name: _content(tensor) for name, tensor in tensors.items()}, {})
    with replacing(path) as temporary:
        save_file(dict(tensors), temporary, metadata=entry({}, checksum))


def load_tensors(path: str | Path) -> dict[str, "Tensor"]:
    """What `save_tensors` wrote, by sorted name. Raises ValueError for a damaged file."""
    tensors, metadata, checksum = opened(path, "pt")
    found = digest({name: _content(tensor) for name, tensor in tensors.items()}, metadata)
    compare(path, found, checksum)
    return tensors


def tensors_hash(tensors: Iterable[tuple[str, "Tensor"]]) -> str:
    """SHA-256 over names, types, shapes and bytes, one tensor after another, in their order."""
    sha256 = hashlib.sha256()
    for name, tensor in tensors:
        kind, data = _content(tensor.detach().cpu())
        sha256.update(f"{name} {kind} ".encode())
        sha256.update(data)
    return sha256.hexdigest()


def load_masks(path: str | Path) -> Mapping[str, "Tensor"]:
    """Bool masks by layer name, in model order, each unpacked whenever it is asked for.

    Raises ValueError for a damaged file.
    """
    import torch

    masks = read_masks(path)
    return Lazily(masks, lambda name: torch.from_numpy(masks[name]))


def _content(tensor: "Tensor") -> Content:
    import torch

    flat = tensor.contiguous().reshape(-1)
    return f"{tensor.dtype}{tuple(tensor.shape)}", flat.view(torch.uint8).numpy().data

"""Torch tensors and masks in files with a checksum (see `leap_suite.artifacts.arrays`)."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from leap_suite.artifacts.arrays import Content, compare, digest, entry, opened
from leap_suite.artifacts.files import replacing
from leap_suite.artifacts.masks import Unpacked, read_masks

if TYPE_CHECKING:
    from torch import Tensor


def save_tensors(tensors: Mapping[str, "Tensor"], path: str | Path) -> None:
    """Write CPU tensors, whole or not at all."""
    from safetensors.torch import save_file

    checksum = digest({name: _content(tensor) for name, tensor in tensors.items()}, {})
    with replacing(path) as temporary:
        save_file(dict(tensors), temporary, metadata=entry({}, checksum))


def load_tensors(path: str | Path) -> dict[str, "Tensor"]:
    """Tensors of `save_tensors` by sorted name. Raises ValueError for a damaged file."""
    with opened(path, "pt") as (file, metadata, checksum):
        tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
    found = digest({name: _content(tensor) for name, tensor in tensors.items()}, metadata)
    compare(path, found, checksum)
    return tensors


def load_kept(taken: Mapping[str, Path]) -> "tuple[Mapping[str, Tensor], dict[str, Tensor]]":
    """Masks that a method keeps, and the weights [O, I] changed with them, if any; by layer.

    They are the files `mask_from` and `weights_from`. Raises ValueError for a damaged file.
    """
    weights = load_tensors(taken["weights_from"]) if "weights_from" in taken else {}
    by_layer = {key.removesuffix(".weight"): weight_OI for key, weight_OI in weights.items()}
    return load_masks(taken["mask_from"]), by_layer


def tensors_hash(tensors: Iterable[tuple[str, "Tensor"]]) -> str:
    """SHA-256 of names, types, shapes and bytes, in the order of the tensors."""
    sha256 = hashlib.sha256()
    for name, tensor in tensors:
        kind, data = _content(tensor.detach().cpu())
        sha256.update(f"{name} {kind} ".encode())
        sha256.update(data)
    return sha256.hexdigest()


def load_masks(path: str | Path) -> Mapping[str, "Tensor"]:
    """Bool masks by layer name in model order, unpacked at every access.

    Raises ValueError for a damaged file.
    """
    import torch

    masks = read_masks(path)
    return Unpacked(masks, lambda name: torch.from_numpy(masks[name]))


def _content(tensor: "Tensor") -> Content:
    import torch

    flat = tensor.contiguous().reshape(-1)
    return f"{tensor.dtype}{tuple(tensor.shape)}", flat.view(torch.uint8).numpy().data

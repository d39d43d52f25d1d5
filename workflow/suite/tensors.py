"""Tensor files (safetensors) with a checksum of their content: a damaged one is named, not used."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from suite.files import replacing

if TYPE_CHECKING:
    from torch import Tensor

# One entry, since safetensors writes several in an order that changes from run to run.
_ENTRY = "suite"


def save_arrays(
    arrays: Mapping[str, NDArray[Any]], path: str | Path, metadata: Mapping[str, str]
) -> None:
    """Write NumPy arrays and text metadata, whole or not at all."""
    from safetensors.numpy import save_file

    checksum = _digest({name: _of_array(array) for name, array in arrays.items()}, metadata)
    with replacing(path) as temporary:
        save_file(dict(arrays), temporary, metadata=_entry(metadata, checksum))


def save_tensors(tensors: Mapping[str, "Tensor"], path: str | Path) -> None:
    """Write torch tensors on the CPU, whole or not at all."""
    from safetensors.torch import save_file

    checksum = _digest({name: _of_tensor(tensor) for name, tensor in tensors.items()}, {})
    with replacing(path) as temporary:
        save_file(dict(tensors), temporary, metadata=_entry({}, checksum))


def load_arrays(path: str | Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """What `save_arrays` wrote, by sorted name. Raises ValueError for a damaged file."""
    arrays, metadata, checksum = _open(path, "numpy")
    found = _digest({name: _of_array(array) for name, array in arrays.items()}, metadata)
    _compare(path, found, checksum)
    return arrays, metadata


def load_tensors(path: str | Path) -> dict[str, "Tensor"]:
    """What `save_tensors` wrote, by sorted name. Raises ValueError for a damaged file."""
    tensors, metadata, checksum = _open(path, "pt")
    found = _digest({name: _of_tensor(tensor) for name, tensor in tensors.items()}, metadata)
    _compare(path, found, checksum)
    return tensors


_Content = tuple[str, memoryview]  # type and shape, and the bytes


def _of_array(array: NDArray[Any]) -> _Content:
    flat = np.ascontiguousarray(array).reshape(-1)
    return f"{array.dtype}{array.shape}", flat.view(np.uint8).data


def _of_tensor(tensor: "Tensor") -> _Content:
    import torch

    flat = tensor.contiguous().reshape(-1)
    return f"{tensor.dtype}{tuple(tensor.shape)}", flat.view(torch.uint8).numpy().data


def _digest(contents: Mapping[str, _Content], metadata: Mapping[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(dict(metadata), sort_keys=True).encode())
    for name in sorted(contents):
        kind, data = contents[name]
        digest.update(f"{name} {kind} ".encode())
        digest.update(data)
    return digest.hexdigest()


def _entry(metadata: Mapping[str, str], checksum: str) -> dict[str, str]:
    return {_ENTRY: json.dumps({**metadata, "checksum": checksum}, sort_keys=True)}


def _open(path: str | Path, framework: str) -> tuple[dict[str, Any], dict[str, str], str]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework=framework) as file:
            metadata = json.loads((file.metadata() or {}).get(_ENTRY, "{}"))
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
    except (SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not a whole file ({error}): {_REMEDY}") from None
    return tensors, metadata, metadata.pop("checksum", "")


def _compare(path: str | Path, found: str, checksum: str) -> None:
    if found != checksum:
        raise ValueError(f"{path} is damaged (its checksum is another one): {_REMEDY}")


_REMEDY = "delete it and run again"

"""Array files (safetensors) with a checksum of their content: a damaged one is named, not used."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suite.artifacts.files import replacing

# One entry, since safetensors writes several in an order that changes from run to run.
_ENTRY = "suite"

_DTYPES = {"I32": np.int32}  # of what is large enough to be left in its file

Content = tuple[str, memoryview]  # type and shape, and the bytes


def save_arrays(
    arrays: Mapping[str, NDArray[Any]], path: str | Path, metadata: Mapping[str, str]
) -> None:
    """Write NumPy arrays and text metadata, whole or not at all."""
    from safetensors.numpy import save_file

    checksum = digest({name: _content(array) for name, array in arrays.items()}, metadata)
    with replacing(path) as temporary:
        save_file(dict(arrays), temporary, metadata=entry(metadata, checksum))


def load_arrays(path: str | Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """What `save_arrays` wrote, by sorted name. Raises ValueError for a damaged file."""
    arrays, metadata, checksum = opened(path, "numpy")
    found = digest({name: _content(array) for name, array in arrays.items()}, metadata)
    compare(path, found, checksum)
    return arrays, metadata


def map_arrays(path: str | Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """The same, but the arrays stay in the file, and processes of one machine share their memory.

    What is written to one of them does not reach the file. Raises ValueError for a damaged file.
    """
    _, metadata, checksum = opened(path, "numpy", contents=False)
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    arrays: dict[str, NDArray[Any]] = {
        name: np.memmap(
            path, _DTYPES[value["dtype"]], "c", 8 + length + value["data_offsets"][0],
            tuple(value["shape"]),
        )
        for name, value in sorted(header.items())
        if name != "__metadata__"
    }  # fmt: skip
    compare(path, digest({name: _content(a) for name, a in arrays.items()}, metadata), checksum)
    return arrays, metadata


def _content(array: NDArray[Any]) -> Content:
    flat = np.ascontiguousarray(array).reshape(-1)
    return f"{array.dtype}{array.shape}", flat.view(np.uint8).data


def digest(contents: Mapping[str, Content], metadata: Mapping[str, str]) -> str:
    """SHA-256 over names, types, shapes and bytes."""
    digest = hashlib.sha256(json.dumps(dict(metadata), sort_keys=True).encode())
    for name in sorted(contents):
        kind, data = contents[name]
        digest.update(f"{name} {kind} ".encode())
        digest.update(data)
    return digest.hexdigest()


def entry(metadata: Mapping[str, str], checksum: str) -> dict[str, str]:
    """The file's metadata, as safetensors takes them."""
    return {_ENTRY: json.dumps({**metadata, "checksum": checksum}, sort_keys=True)}


def opened(
    path: str | Path, framework: str, contents: bool = True
) -> tuple[dict[str, Any], dict[str, str], str]:
    """Content by sorted name, if it is wanted, metadata, checksum.

    Raises ValueError for a cut file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework=framework) as file:
            metadata = json.loads((file.metadata() or {}).get(_ENTRY, "{}"))
            names = sorted(file.keys()) if contents else []
            tensors = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not a whole file ({error}): {_REMEDY}") from None
    return tensors, metadata, metadata.pop("checksum", "")


def compare(path: str | Path, found: str, checksum: str) -> None:
    """Raise ValueError where the content is not what was written."""
    if found != checksum:
        raise ValueError(f"{path} is damaged (its checksum is another one): {_REMEDY}")


_REMEDY = "delete it and run again"

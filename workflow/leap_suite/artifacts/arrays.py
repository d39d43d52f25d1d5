"""Array files (safetensors) with a checksum of their content, so that a damaged file is refused."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leap_suite.artifacts.files import replacing

# One entry, since safetensors writes several in an order that changes from run to run.
_ENTRY = "suite"

_DTYPES = {"I32": np.int32, "U8": np.uint8}  # of corpora and packed masks

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
    """Arrays of `save_arrays` by sorted name, and the metadata.

    Arrays are mapped copy-on-write, so the processes of a machine share their memory. Raises
    ValueError for a damaged file.
    """
    with opened(path, "numpy") as (_, metadata, checksum):
        whole = np.memmap(path, np.uint8, "c")
        start = 8 + int.from_bytes(whole[:8].tobytes(), "little")
        arrays: dict[str, NDArray[Any]] = {}
        for name, stored in sorted(json.loads(whole[8:start].tobytes()).items()):
            if name != "__metadata__":
                begin, end = (start + offset for offset in stored["data_offsets"])
                flat = whole[begin:end].view(_DTYPES[stored["dtype"]])
                arrays[name] = flat.reshape(stored["shape"])
    compare(path, digest({name: _content(a) for name, a in arrays.items()}, metadata), checksum)
    return arrays, metadata


def _content(array: NDArray[Any]) -> Content:
    flat = np.ascontiguousarray(array).reshape(-1)
    return f"{array.dtype}{array.shape}", flat.view(np.uint8).data


def digest(contents: Mapping[str, Content], metadata: Mapping[str, str]) -> str:
    """SHA-256 of metadata and of names, types, shapes and bytes."""
    digest = hashlib.sha256(json.dumps(dict(metadata), sort_keys=True).encode())
    for name in sorted(contents):
        kind, data = contents[name]
        digest.update(f"{name} {kind} ".encode())
        digest.update(data)
    return digest.hexdigest()


def entry(metadata: Mapping[str, str], checksum: str) -> dict[str, str]:
    """Metadata and checksum in the form of safetensors."""
    return {_ENTRY: json.dumps({**metadata, "checksum": checksum}, sort_keys=True)}


@contextmanager
def opened(path: str | Path, framework: str) -> Iterator[tuple[Any, dict[str, str], str]]:
    """Open an array file: safetensors handle, metadata, checksum.

    Raises ValueError for a truncated file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework=framework) as file:
            metadata = json.loads((file.metadata() or {}).get(_ENTRY, "{}"))
            yield file, metadata, metadata.pop("checksum", "")
    except (SafetensorError, json.JSONDecodeError, KeyError) as error:
        raise ValueError(f"{path} is not a whole file ({error}): delete it and run again") from None


def compare(path: str | Path, found: str, checksum: str) -> None:
    """Raise ValueError where the checksum differs."""
    if found != checksum:
        raise ValueError(f"{path} is damaged (wrong checksum): delete it and run again")

"""The state of an unfinished training on disk, from which it can be taken up again.

A state is one safetensors file a step, written whole or not at all; the two newest are kept, so
that a damaged one has a predecessor. Its metadata hold the fingerprint of everything that decides
the result, and a checksum of its tensors.
"""

import hashlib
import json
import logging
import os
import shutil
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from leap.settings import Settings

logger = logging.getLogger(__name__)

_KEPT = 2


class StateFolder:
    """States of one training; each process that keeps a part of its own has its own `part`."""

    def __init__(self, folder: Path, fingerprint: str, part: str = "whole") -> None:
        self.folder = folder
        self.fingerprint = fingerprint
        self.part = part

    def save(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        """Write the state before `step` and delete all but the two newest ones."""
        self.folder.mkdir(parents=True, exist_ok=True)
        target = self.folder / f"step-{step:08d}.{self.part}.safetensors"
        temporary = self.folder / f".{target.name}.part"
        contents = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        checksum = _checksum(contents, self.fingerprint)
        metadata = {"fingerprint": self.fingerprint, "checksum": checksum}
        temporary.touch()
        mode = temporary.stat().st_mode
        save_file(contents, temporary, metadata=metadata)
        temporary.chmod(mode)  # that of any new file; safetensors shuts out all but the owner
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
        # later ones are damaged, or another process lacks them: training went on below them
        files = self._files()
        place = files.index(target)
        for useless in [*files[:place], *files[place + _KEPT :]]:
            useless.unlink()

    def newest(self, below: int | None = None) -> tuple[int, dict[str, Tensor]] | None:
        """The newest whole state and its step, none if there is none; damaged ones are skipped.

        With `below` only older states count. Raises ValueError for a state of another training.
        """
        for file in self._files():
            step = int(file.name.split(".")[0].removeprefix("step-"))
            if below is not None and step >= below:
                continue
            tensors = self._read(file)
            if tensors is not None:
                return step, tensors
        return None

    def clear(self) -> None:
        """Delete the folder: the training is finished and its result is safe."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob(f"step-*.{self.part}.safetensors"), reverse=True)

    def _read(self, file: Path) -> dict[str, Tensor] | None:
        try:
            with safe_open(file, framework="pt") as opened:
                metadata = opened.metadata() or {}
                tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        except SafetensorError as error:
            logger.warning("%s is not whole (%s): an older state is used", file, error)
            return None
        saved_for = metadata.get("fingerprint", "")
        if metadata.get("checksum") != _checksum(tensors, saved_for):
            logger.warning("%s is damaged: an older state is used", file)
            return None
        if saved_for != self.fingerprint:
            raise ValueError(
                f"{self.folder} holds the unfinished training of other settings, another model, "
                "corpus or prior mask: put those back to finish it, or delete this folder"
            )
        return tensors


def fingerprint(
    model: nn.Module,
    blocks_ST: Tensor,
    masks: Mapping[str, Mapping[str, Tensor] | None],
    settings: Settings,
    parameterisation: str,
) -> str:
    """SHA-256 over settings, parameterisation, the model's weights, training tokens and masks."""
    digest = hashlib.sha256(json.dumps(asdict(settings), sort_keys=True).encode())
    digest.update(parameterisation.encode())
    _add(digest, "tokens", blocks_ST)
    for name, parameter in model.named_parameters():
        _add(digest, name, parameter)
    for kind, given in masks.items():
        for name, mask_OI in (given or {}).items():
            _add(digest, f"{kind}/{name}", mask_OI)
    return digest.hexdigest()


def _add(digest: "hashlib._Hash", name: str, tensor: Tensor) -> None:
    digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
    digest.update(_bytes(tensor))


def _checksum(tensors: Mapping[str, Tensor], fingerprint: str) -> str:
    value = zlib.crc32(fingerprint.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        value = zlib.crc32(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode(), value)
        value = zlib.crc32(_bytes(tensor), value)
    return f"{value:08x}"


def _bytes(tensor: Tensor) -> memoryview:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data

"""State of an unfinished training on disk, to resume from.

A state is one safetensors file a step, or one for each of the processes that have a part of it,
written whole or not at all; the two newest are kept, so that a damaged one has a predecessor. Its
metadata hold the fingerprint of everything that decides the result, and a checksum of its tensors.
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
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

logger = logging.getLogger(__name__)

_KEPT = 2


class StateFolder:
    """States of one training; with sharding each process writes its own part."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.folder = folder
        self.fingerprint = fingerprint

    def save(
        self, step: int, tensors: Mapping[str, Tensor], rank: int = 0, processes: int = 1
    ) -> None:
        """Write the state before `step`, or a process' part, and delete all but the two newest."""
        self.folder.mkdir(parents=True, exist_ok=True)
        target = self._file(step, rank, processes)
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
        files = sorted(
            self.folder.glob(f"step-*.{_part_name(rank, processes)}.safetensors"), reverse=True
        )
        place = files.index(target)
        for useless in [*files[:place], *files[place + _KEPT :]]:
            useless.unlink()
        if place + 1 < len(files):  # by the second one, all processes have the first
            self._forget_others(processes)

    def steps(self) -> list[tuple[int, int]]:
        """Steps with a complete state, newest first, each with the number of processes."""
        names = {file.name for file in self.folder.glob("step-*.safetensors")}
        found = {
            (int(name.split(".")[0].removeprefix("step-")), _processes(name)) for name in names
        }
        return sorted(
            (
                (step, processes)
                for step, processes in found
                if {self._file(step, rank, processes).name for rank in range(processes)} <= names
            ),
            reverse=True,
        )

    def read(self, step: int, rank: int = 0, processes: int = 1) -> dict[str, Tensor] | None:
        """A process' part of a state; None if damaged.

        Raises ValueError for a state of another training.
        """
        file = self._file(step, rank, processes)
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

    def clear(self) -> None:
        """Delete the folder: the training is finished and its result is safe."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _forget_others(self, processes: int) -> None:
        """Delete states of another number of processes."""
        for file in self.folder.glob("step-*.safetensors"):
            if _processes(file.name) != processes:
                file.unlink(missing_ok=True)

    def _file(self, step: int, rank: int, processes: int) -> Path:
        return self.folder / f"step-{step:08d}.{_part_name(rank, processes)}.safetensors"


def _part_name(rank: int, processes: int) -> str:
    return "whole" if processes == 1 else f"{rank}-of-{processes}"


def _processes(name: str) -> int:
    """Number of processes that wrote the state of a file."""
    part = name.split(".")[1]
    return 1 if part == "whole" else int(part.split("-")[-1])


def fingerprint(
    model: nn.Module,
    blocks_ST: Tensor,
    masks: Mapping[str, Mapping[str, Tensor] | None],
    settings: "DataclassInstance",
    learned: str,
) -> str:
    """SHA-256 over settings, parameterisation, model weights, training tokens and masks."""
    digest = hashlib.sha256(json.dumps(asdict(settings), sort_keys=True).encode())
    digest.update(learned.encode())
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

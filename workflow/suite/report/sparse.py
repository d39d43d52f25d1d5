"""Lossless packing of pruned checkpoints: one bit per weight, and the kept weights.

Needed to release methods that change the kept weights, whose masks alone do not give the model.
`sparse.safetensors` has, for a pruned matrix NAME [O, I],

    NAME.mask    uint8 [ceil(O * I / 8)]: one bit per weight, row by row, 1 if it is kept
    NAME.shape   int64 [2]: O and I
    NAME.kept    [survivors]: the kept weights in that order, in the checkpoint's dtype

and every other tensor unchanged. At sparsity s a matrix of 16-bit weights takes 1/16 + 1 - s of its
bytes: 56 % at 0.5, 46 % at 0.6.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from suite.artifacts.files import read_json, sha256
from suite.artifacts.tensors import load_masks, load_tensors, save_tensors

SPARSE = "sparse.safetensors"
WEIGHTS = "model.safetensors"
_CONFIGS = ("config.json", "generation_config.json")


def pack_checkpoint(hardened: Path, folder: Path) -> int:
    """Write a hardened checkpoint to `folder`, packed, with its config; bytes of the packed file.

    Raises ValueError if a weight outside the mask is not zero, or a file is damaged.
    """
    if sha256(hardened / WEIGHTS) != read_json(hardened / "manifest.json")["weights_sha256"]:
        raise ValueError(
            f"{hardened / WEIGHTS} is not what its manifest says: delete it and run again"
        )
    masks = load_masks(hardened / "mask.safetensors")
    packed: dict[str, Tensor] = {}
    for name, tensor in load_file(hardened / WEIGHTS).items():
        mask_OI = masks.get(name.removesuffix(".weight"))
        packed |= {name: tensor} if mask_OI is None else _packed(name, tensor, mask_OI)
    save_tensors(packed, folder / SPARSE)
    _copy_configs(hardened, folder)
    return (folder / SPARSE).stat().st_size


def unpack_checkpoint(folder: Path, target: Path) -> None:
    """Write the dense checkpoint of `folder` to `target`, for `from_pretrained`.

    Tensors are the same bits as in the evaluated checkpoint. Raises ValueError for a damaged file.
    """
    packed = load_tensors(folder / SPARSE)
    matrices = {name.removesuffix(".kept") for name in packed if name.endswith(".kept")}
    parts = {f"{name}.{part}" for name in matrices for part in ("mask", "shape", "kept")}
    tensors = {name: tensor for name, tensor in packed.items() if name not in parts}
    tensors |= {name: _unpacked(name, packed) for name in matrices}
    target.mkdir(parents=True, exist_ok=True)
    save_tensors(tensors, target / WEIGHTS)
    _copy_configs(folder, target)


def _packed(name: str, weight_OI: Tensor, mask_OI: Tensor) -> dict[str, Tensor]:
    packed = {
        f"{name}.mask": torch.from_numpy(np.packbits(mask_OI.numpy())),
        f"{name}.shape": torch.tensor(weight_OI.shape),
        f"{name}.kept": weight_OI[mask_OI],
    }
    if not torch.equal(_unpacked(name, packed).view(torch.uint8), weight_OI.view(torch.uint8)):
        raise ValueError(f"{name}: a weight outside the mask is not zero")
    return packed


def _unpacked(name: str, packed: Mapping[str, Tensor]) -> Tensor:
    rows, columns = packed[f"{name}.shape"].tolist()
    bits = np.unpackbits(packed[f"{name}.mask"].numpy(), count=rows * columns)
    kept = packed[f"{name}.kept"]
    weight_OI = torch.zeros(rows, columns, dtype=kept.dtype)
    weight_OI[torch.from_numpy(bits).bool().view(rows, columns)] = kept
    return weight_OI


def _copy_configs(source: Path, target: Path) -> None:
    for name in _CONFIGS:
        if (source / name).is_file():
            shutil.copy(source / name, target / name)

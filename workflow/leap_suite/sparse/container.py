"""Lossless packing of pruned checkpoints: one bit per weight, and the kept weights.

The file on disk is what the kernels read. `model.safetensors` stores the weight [O, I] of a pruned
layer NAME as

    NAME.mask    uint8 [O, 8 * ceil(I / 64)]: bit c % 8 of byte c // 8 is 1 if column c is kept; a
                 row has whole words of 64 bits, with 0 beyond column I
    NAME.starts  int32 [O]: where the kept weights of a row begin
    NAME.kept    [survivors + 32]: the kept weights row by row, in the checkpoint's dtype, and 32
                 zeros, so that loads of 64 bytes stay within the tensor
    NAME.shape   int64 [2]: O and I

and every other tensor is unchanged. `config.json` has `quantization_config.quant_method: bitmask`,
by which transformers builds the layers of `leap_suite.sparse.layer`. At sparsity s a matrix of
16-bit weights takes 1/16 + 1 - s of its bytes and four bytes a row: 56 % at 0.5, 46 % at 0.6.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from leap_suite.artifacts.files import read_json, sha256, write_text
from leap_suite.artifacts.tensors import load_masks, load_tensors, save_tensors

WEIGHTS = "model.safetensors"
METHOD = "bitmask"
PARTS = ("mask", "starts", "kept", "shape")

_PADDING = 32  # weights
_WORD = 64  # columns
_BESIDE = ("generation_config.json", "tokenizer.json", "tokenizer_config.json",
           "special_tokens_map.json", "chat_template.jinja")  # fmt: skip


def pack_checkpoint(hardened: Path, folder: Path) -> int:
    """Write a hardened checkpoint to `folder`, packed, with its config; bytes of the packed file.

    Raises ValueError if a weight outside the mask is not zero, or a file is damaged.
    """
    if sha256(hardened / WEIGHTS) != read_json(hardened / "manifest.json")["weights_sha256"]:
        raise ValueError(
            f"{hardened / WEIGHTS} is not what its manifest says: delete it and run again"
        )
    masks = load_masks(hardened / "mask.safetensors")
    tensors: dict[str, Tensor] = {}
    for name, tensor in load_file(hardened / WEIGHTS).items():
        layer = name.removesuffix(".weight")
        mask_OI = masks.get(layer)
        if mask_OI is None:
            tensors[name] = tensor
        else:
            packed = packed_matrix(name, tensor, mask_OI)
            tensors |= {f"{layer}.{part}": value for part, value in packed.items()}
    folder.mkdir(parents=True, exist_ok=True)
    save_tensors(tensors, folder / WEIGHTS)
    _write_configs(hardened, folder, {"quantization_config": {"quant_method": METHOD}})
    return (folder / WEIGHTS).stat().st_size


def unpack_checkpoint(folder: Path, target: Path) -> None:
    """Write the dense checkpoint of `folder` to `target`, for `from_pretrained`.

    Tensors are the same bits as in the evaluated checkpoint. Raises ValueError for a folder that
    has no packed checkpoint, or a damaged one.
    """
    packed = read_packed(folder)
    layers = layers_of(packed)
    parts = {f"{layer}.{part}" for layer in layers for part in PARTS}
    tensors = {name: tensor for name, tensor in packed.items() if name not in parts}
    for layer in layers:
        mask, _, kept, shape = (packed[f"{layer}.{part}"] for part in PARTS)
        tensors[f"{layer}.weight"] = unpacked_matrix(mask, kept, int(shape[1]))
    target.mkdir(parents=True, exist_ok=True)
    save_tensors(tensors, target / WEIGHTS)
    _write_configs(folder, target, {})


def read_packed(folder: Path) -> dict[str, Tensor]:
    """Tensors of a packed checkpoint. Raises ValueError if `folder` has none, or a damaged one."""
    config = read_json(folder / "config.json") if (folder / "config.json").is_file() else {}
    if config.get("quantization_config", {}).get("quant_method") != METHOD:
        raise ValueError(
            f"{folder} has no packed checkpoint: its config.json does not name {METHOD}"
        )
    return load_tensors(folder / WEIGHTS)


def layers_of(names: Mapping[str, object]) -> list[str]:
    """Layers of which `names` have all parts."""
    layers = [name.removesuffix(".kept") for name in names if name.endswith(".kept")]
    return [layer for layer in layers if all(f"{layer}.{part}" in names for part in PARTS)]


def packed_matrix(name: str, weight_OI: Tensor, mask_OI: Tensor) -> dict[str, Tensor]:
    """Parts of a matrix. Raises ValueError if a weight outside the mask is not zero."""
    rows, columns = weight_OI.shape
    whole = _padded(mask_OI.to(torch.uint8), -columns % _WORD)
    bits = whole.view(rows, -1, 8) << torch.arange(8, dtype=torch.uint8)
    survivors = mask_OI.sum(dim=1)
    if int(survivors.sum()) >= 2**31:
        raise ValueError(f"{name} keeps more than 2^31 weights, which this format cannot count")
    packed = {
        "mask": bits.sum(dim=2, dtype=torch.uint8),
        "starts": (survivors.cumsum(0) - survivors).int(),
        "kept": _padded(weight_OI[mask_OI], _PADDING),
        "shape": torch.tensor([rows, columns]),
    }
    found_OI = unpacked_matrix(packed["mask"], packed["kept"], columns)
    if not torch.equal(found_OI.view(torch.uint8), weight_OI.contiguous().view(torch.uint8)):
        raise ValueError(f"{name}: a weight outside the mask is not zero")
    return packed


def unpacked_matrix(mask: Tensor, kept: Tensor, columns: int) -> Tensor:
    """The dense matrix [O, columns], on the device of its parts."""
    bits = mask[:, :, None] >> torch.arange(8, dtype=torch.uint8, device=mask.device) & 1
    mask_OI = bits.flatten(1)[:, :columns].bool()
    weight_OI = torch.zeros(mask_OI.shape, dtype=kept.dtype, device=kept.device)
    return weight_OI.masked_scatter_(mask_OI, kept)


def _padded(tensor: Tensor, count: int) -> Tensor:
    """`tensor` with `count` zeros behind its last dimension."""
    return torch.nn.functional.pad(tensor, (0, count))


def _write_configs(source: Path, target: Path, added: Mapping[str, object]) -> None:
    config = read_json(source / "config.json")
    config.pop("quantization_config", None)
    # without a checksum, which would be a setting of the model
    write_text(target / "config.json", json.dumps(config | added, indent=2) + "\n")
    for name in _BESIDE:
        if (source / name).is_file():
            shutil.copy(source / name, target / name)

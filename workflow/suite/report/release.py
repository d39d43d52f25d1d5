"""Results for others: masks, manifests, tables and a card for each cell, with checksums.

    release/<model>/<method>/<sparsity>/{mask.safetensors.gz, manifest.json, README.md}
    release/tables/...   release/README.md   release/SHA256SUMS (for `sha256sum -c`)

A mask has one bit a weight. For methods whose schema says `changes_weights: false`
it is the whole result: `apply_release` makes the pruned model from the dense one. Those of other
methods come with their kept weights, as `suite.report.sparse` packs them.
"""

import gzip
import shutil
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.artifacts.files import read_json, replacing, sha256, write_text
from suite.artifacts.masks import mask_hash
from suite.artifacts.tensors import load_masks, tensors_hash
from suite.plan.methods import method_label
from suite.report.model_card import front_matter, title
from suite.report.sparse import SPARSE, pack_checkpoint
from suite.results.frame import CELL, Results
from suite.tables.markdown import table
from suite.tables.text import lines_text

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MASK = "mask.safetensors.gz"


def pack(
    cells: Mapping[str, Path],
    results: Results,
    tables: Sequence[Path],
    licences: Mapping[str, str],
    datasets: Mapping[str, str],
    target: Path,
) -> None:
    """Write the release folder, whole or not at all.

    `cells` are the folders of hardened checkpoints by their place in the release, which is their
    cell's path, and `results` what they scored; `licences` are those of the dense models by name,
    which masks made from them are subject to; `datasets` are those of the tasks by name.
    """
    with replacing(target) as folder:
        sizes, miniatures = [], []
        for place, hardened in cells.items():
            manifest = read_json(hardened / "manifest.json")
            licence = licences.get(manifest["model"], "unknown")
            scores = results.frame[(results.frame[CELL] == cell_of(manifest)).all(axis=1)]
            head = front_matter(manifest, licence, scores, datasets)
            packed = _pack_cell(hardened, manifest, licence, head, folder / place)
            sizes.append(packed)
            miniatures.append(_is_miniature(manifest))
        (folder / "tables").mkdir(parents=True)
        for table in tables:
            shutil.copy(table, folder / "tables" / table.name)
        write_text(folder / "README.md", lines_text(_summary(list(cells), sizes, miniatures)))
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        lines = [f"{sha256(file)}  {file.relative_to(folder)}" for file in files]
        write_text(folder / "SHA256SUMS", lines_text(lines))


def apply_release(model: "PreTrainedModel", folder: str | Path) -> None:
    """Prune a dense model in place with a released mask: the weights of the evaluated checkpoint.

    `model` is the dense model of the revision that the cell's manifest names, in its dtype.
    Raises ValueError where the mask is damaged or the model is another one, down to the bits of
    its weights, or where the method also changed the weights that it kept. The model is then as
    it was.
    """
    from leap import apply_masks
    from leap.model.layers import prunable_linears

    folder = Path(folder)
    manifest = read_json(folder / "manifest.json")
    if manifest["kept_weights_changed"]:
        raise ValueError(
            f"{manifest['method']} changed the weights that it kept: a mask alone does not give "
            "its model; `suite.report.sparse.unpack_checkpoint` does"
        )
    masks = _read_mask(folder / MASK)
    if mask_hash(masks) != manifest["mask_sha256"]:
        raise ValueError(f"{folder / MASK} is not the mask of its manifest: download it again")
    linears = prunable_linears(model)
    shapes = {name: linear.weight.shape for name, linear in linears.items()}
    if shapes != {name: mask.shape for name, mask in masks.items()}:
        raise ValueError(f"the model's layers are not those of {manifest['model']}")
    weights = ((name, linear.weight) for name, linear in linears.items())
    if tensors_hash(weights) != manifest["dense_linears_sha256"]:
        raise ValueError(
            f"the model's weights are not those that the mask was made for: load "
            f"{manifest['model_source']} in {manifest['dtype']}"
        )
    apply_masks(model, masks)


def _read_mask(path: Path) -> Mapping[str, Any]:
    with tempfile.NamedTemporaryFile(suffix=".safetensors") as file:
        try:
            file.write(gzip.decompress(path.read_bytes()))
            file.flush()
            return load_masks(file.name)
        except (EOFError, gzip.BadGzipFile, zlib.error, ValueError) as error:
            raise ValueError(f"{path} is damaged: download it again") from error


def _pack_cell(
    hardened: Path, manifest: Mapping[str, Any], licence: str, head: Sequence[str], folder: Path
) -> tuple[int, int, int]:
    """Write one cell; bytes of its mask, of the dense checkpoint in bfloat16, and packed (or 0)."""
    folder.mkdir(parents=True)
    mask = gzip.compress((hardened / "mask.safetensors").read_bytes(), mtime=0)
    (folder / MASK).write_bytes(mask)
    shutil.copy(hardened / "manifest.json", folder / "manifest.json")
    packed = pack_checkpoint(hardened, folder) if manifest["kept_weights_changed"] else 0
    sizes = len(mask), 2 * manifest["parameters"], packed
    card = [*head, *_card(manifest, licence, *sizes)]
    write_text(folder / "README.md", lines_text(card))
    return sizes


def cell_of(manifest: Mapping[str, Any]) -> list[Any]:
    """What names a manifest's cell in the frame of results."""
    return [manifest[name] for name in ("model", "method", "target_sparsity", "seed")]


def _is_miniature(manifest: Mapping[str, Any]) -> bool:
    return "miniature" in manifest["model_source"]


def _card(
    manifest: Mapping[str, Any], licence: str, mask: int, checkpoint: int, packed: int
) -> list[str]:
    method = method_label(manifest["method"])
    kind = "Miniature " if _is_miniature(manifest) else ""
    return [
        f"# {kind}{title(manifest)}",
        "",
        f"The mask that {method} chose: {manifest['survivors']:,} of {manifest['weights']:,} "
        f"weights survive (sparsity {manifest['achieved_sparsity']:.6f}), seed {manifest['seed']}.",
        "",
        f"- Dense model: `{manifest['model_source']}` in {manifest['dtype']}",
        f"- Licence of the dense model, which this mask is subject to: {licence}",
        f"- Suite's commit: `{manifest['git_commit']}`, code of the method: "
        f"`{manifest['recipe']['masks']['code']}`; settings, corpora, versions and hashes are in "
        "`manifest.json`",
        f"- Mask: {mask:,} bytes, one bit a weight, compressed. Checkpoint in bfloat16: "
        f"{checkpoint:,} bytes, {checkpoint / mask:.0f} times as many",
        "",
        *(_of_packed(method, packed) if packed else _OF_MASK),
    ]


_OF_MASK = (
    "The kept weights are those of the dense model:",
    "",
    "    from suite.report.release import apply_release",
    "    apply_release(model, folder)    # model: the dense one, folder: this one",
)


def _of_packed(method: str, packed: int) -> list[str]:
    return [
        f"{method} also changed the weights that it kept: the mask alone does not give its model. "
        f"`{SPARSE}` does ({packed:,} bytes, a bit a weight and the kept ones):",
        "",
        "    from pathlib import Path",
        "    from suite.report.sparse import unpack_checkpoint",
        "    unpack_checkpoint(Path(folder), Path(target))    # then from_pretrained(target)",
    ]


def _summary(
    places: Sequence[str], sizes: Sequence[tuple[int, int, int]], miniatures: Sequence[bool]
) -> list[str]:
    rows = [
        [place, f"{mask:,}", f"{packed:,}" if packed else "–", f"{checkpoint:,}"]
        for place, (mask, checkpoint, packed) in zip(places, sizes, strict=True)
    ]
    headings = ["Cell", "Mask", "Mask and kept weights", "Dense, in bfloat16"]
    return [
        f"# {_kind(miniatures)}: masks, manifests, tables",
        "",
        "Sizes in bytes. Each folder has a card. `sha256sum -c SHA256SUMS` checks every file.",
        "",
        *table(headings, rows, "lrrr"),
    ]


def _kind(miniatures: Sequence[bool]) -> str:
    if all(miniatures):
        return "Pruned miniature models"
    return "Pruned models, miniatures among them" if any(miniatures) else "Pruned models"

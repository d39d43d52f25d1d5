"""Release folder: masks, manifests, tables and model cards for publication, with checksums.

Needed because a grid's checkpoints are too large to publish; a mask takes one bit per weight.

    release/<model>/<method>/<sparsity>/{mask.safetensors.gz, manifest.json, README.md}
    release/tables/...   release/README.md   release/SHA256SUMS (for `sha256sum -c`)

`apply_release` prunes the dense model with a mask. Methods that change the kept weights
(`changes_weights` in their schema) are released with these weights, as
`leap_suite.sparse.container` packs them.
"""

import gzip
import shutil
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from huggingface_hub import EvalResult, ModelCardData

from leap_suite.artifacts.files import read_json, replacing, sha256, write_text
from leap_suite.artifacts.masks import mask_hash
from leap_suite.artifacts.tensors import load_masks, tensors_hash
from leap_suite.plan.methods import method_label
from leap_suite.plan.metrics import DEFAULT
from leap_suite.results.frame import CELL, Results, any_generated, of_tasks
from leap_suite.sparse.container import WEIGHTS, pack_checkpoint
from leap_suite.tables.entries import table
from leap_suite.tables.text import lines_text

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

    `cells` are the folders of hardened checkpoints by the path of their cell, `results` their
    scores; `licences` are those of the dense models by name, which also apply to masks made from
    them; `datasets` are those of the tasks by name.
    """
    with replacing(target) as folder:
        rows, miniature = [], True
        for place, hardened in cells.items():
            manifest = read_json(hardened / "manifest.json")
            sizes = _pack_cell(hardened, manifest, folder / place)
            rows.append([place, *sizes])
            licence = licences.get(manifest["model"], "unknown")
            cell = [manifest[name] for name in ("model", "method", "target_sparsity", "seed")]
            scores = results.frame[(results.frame[CELL] == cell).all(axis=1)]
            head = front_matter(manifest, licence, scores, datasets)
            card = [*head, *_card(manifest, licence, *sizes)]
            write_text(folder / place / "README.md", lines_text(card))
            miniature &= _is_miniature(manifest)
        (folder / "tables").mkdir(parents=True)
        for table in tables:
            shutil.copy(table, folder / "tables" / table.name)
        write_text(folder / "README.md", lines_text(_summary(rows, miniature)))
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        lines = [f"{sha256(file)}  {file.relative_to(folder)}" for file in files]
        write_text(folder / "SHA256SUMS", lines_text(lines))


def apply_release(model: "PreTrainedModel", folder: str | Path) -> None:
    """Prune a dense model in place with a released mask, bit for bit as it was evaluated.

    `model` is the dense model in the revision and dtype that the manifest names. Raises ValueError
    and leaves the model unchanged if the mask is damaged, a bit of the model's weights differs, or
    the method also changed the kept weights.
    """
    from leap.model.layers import prunable_linears
    from leap.selection import apply_masks

    folder = Path(folder)
    manifest = read_json(folder / "manifest.json")
    if manifest["kept_weights_changed"]:
        raise ValueError(
            f"{manifest['method']} changed the weights that it kept: a mask alone does not give "
            "its model; `leap_suite.sparse.loading.load` does"
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


def _pack_cell(hardened: Path, manifest: Mapping[str, Any], folder: Path) -> tuple[int, int, int]:
    """Write the files of a cell; bytes of its mask, packed (or 0), and dense in bfloat16."""
    folder.mkdir(parents=True)
    mask = gzip.compress((hardened / "mask.safetensors").read_bytes(), mtime=0)
    (folder / MASK).write_bytes(mask)
    shutil.copy(hardened / "manifest.json", folder / "manifest.json")
    packed = pack_checkpoint(hardened, folder) if manifest["kept_weights_changed"] else 0
    return len(mask), packed, 2 * manifest["parameters"]


def _is_miniature(manifest: Mapping[str, Any]) -> bool:
    return "miniature" in manifest["model_source"]


def _card(
    manifest: Mapping[str, Any], licence: str, mask: int, packed: int, dense: int
) -> list[str]:
    method = method_label(manifest["method"])
    kind = "Miniature " if _is_miniature(manifest) else ""
    lines = [
        f"# {kind}{_title(manifest)}",
        "",
        f"Mask of {method}: {manifest['survivors']:,} of {manifest['weights']:,} weights survive "
        f"(sparsity {manifest['achieved_sparsity']:.6f}), seed {manifest['seed']}.",
        "",
        f"- Dense model: `{manifest['model_source']}` in {manifest['dtype']}",
        f"- Licence of the dense model, which also applies to this mask: {licence}",
        f"- Suite's commit: `{manifest['git_commit']}`, code of the method: "
        f"`{manifest['recipe']['masks']['code']}`; settings, corpora, versions and hashes are in "
        "`manifest.json`",
        f"- Mask: {mask:,} bytes, one bit per weight, compressed. Checkpoint in bfloat16: "
        f"{dense:,} bytes, {dense / mask:.0f} times as many",
        "",
    ]
    if packed:
        return [
            *lines,
            f"{method} also changed the kept weights: the mask alone does not give its model. "
            f"`{WEIGHTS}` does ({packed:,} bytes, one bit per weight and the kept weights):",
            "",
            "    from leap_suite.sparse.loading import load",
            "    model = load(folder)    # generates from the packed weights",
            "",
            "    from pathlib import Path",
            "    from leap_suite.sparse.container import unpack_checkpoint",
            "    unpack_checkpoint(Path(folder), Path(target))    # dense",
        ]
    return [
        *lines,
        "The kept weights are those of the dense model:",
        "",
        "    from leap_suite.report.release import apply_release",
        "    apply_release(model, folder)    # model: the dense one, folder: this one",
    ]


def front_matter(
    manifest: Mapping[str, Any], licence: str, scores: pd.DataFrame, datasets: Mapping[str, str]
) -> list[str]:
    """YAML front matter from a cell's manifest and its rows in the frame of results.

    Accuracies are fractions; `datasets` are those of the tasks by name. Results on generated tasks,
    which are no data sets of the hub, are left out.
    """
    pruning = manifest["pruning"]
    sources = [pruning.get(corpus, {}).get("source", {}) for corpus in ("calibration", "training")]
    results = _results(scores, datasets)
    data = ModelCardData(
        license=licence,
        base_model=manifest["model_source"].get("hub", {}).get("id"),
        datasets=sorted({source["hub"] for source in sources if "hub" in source}) or None,
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["pruning", "sparsity", manifest["method"]],
        model_name=_title(manifest) if results else None,
        eval_results=results or None,
    )
    return ["---", *data.to_yaml().splitlines(), "---"]


def _title(manifest: Mapping[str, Any]) -> str:
    """Title of a cell."""
    method = method_label(manifest["method"])
    return f"{manifest['model']}, {method}, sparsity {manifest['target_sparsity']}"


def _results(scores: pd.DataFrame, datasets: Mapping[str, str]) -> list[Any]:
    if any_generated(scores):
        return []
    return [
        EvalResult(
            task_type="text-generation",
            dataset_type=datasets[row.measure],
            dataset_name=row.measure,
            dataset_config=row.measure,  # two tasks of one data set are two results
            metric_type=row.metric,
            metric_name=f"{shots} {metric}, {row.items} items",
            metric_value=round(row.value / (100 if row.unit == "percent" else 1), 6),
        )
        for row in of_tasks(scores).itertuples()
        for shots in [f"{row.fewshot}-shot" if row.fewshot else "zero-shot"]
        for metric in ["accuracy" if row.metric == DEFAULT else row.metric]
    ]


def _summary(rows: Sequence[Sequence[Any]], miniature: bool) -> list[str]:
    printed = [
        [place, f"{mask:,}", f"{packed:,}" if packed else "–", f"{dense:,}"]
        for place, mask, packed, dense in rows
    ]
    headings = ["Cell", "Mask", "Mask and kept weights", "Dense, in bfloat16"]
    return [
        f"# Pruned {'miniature ' if miniature else ''}models: masks, manifests, tables",
        "",
        "Sizes in bytes. Each folder has a card. `sha256sum -c SHA256SUMS` checks every file.",
        "",
        *table(headings, printed, "lrrr"),
    ]

"""Bytes and speed of a cell's checkpoint, from its packed weights and from dense ones."""

import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from leap_suite.artifacts.files import read_json, write_json
from leap_suite.artifacts.recorded import check
from leap_suite.jobs.job import progress
from leap_suite.jobs.provenance import Meter, choose_device, compute_setting, environment
from leap_suite.plan.cell import Cell
from leap_suite.sparse import cpu
from leap_suite.sparse.container import pack_checkpoint
from leap_suite.sparse.timing import Settings, timed
from leap_suite.stages import models


def measure(
    model_directory: Path,
    hardened: Path | None,
    cell: Cell,
    run: str,
    recipe: Mapping[str, Any],
    threads: int,
    output: Path,
) -> None:
    """Write what a checkpoint, or the dense model where `hardened` is None, takes to generate text.

    Every round measures each way of holding the weights once (`leap_suite.sparse.timing`), so that
    all see the same load of the machine. Raises ValueError where the checkpoint has another recipe
    or is damaged.
    """
    meter, device = Meter(), choose_device()
    models.describe(model_directory, recipe["model"])
    rounds = recipe["speed"]["rounds"]
    asked = {name: recipe["speed"][name] for name in ("prompt", "tokens")}
    settings = Settings(**asked, batches=tuple(recipe["speed"]["batches"]), threads=threads,
                        device=device)  # fmt: skip
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".packed-") as temporary:
        folders = _folders(model_directory, hardened, device, recipe, Path(temporary))
        found: dict[str, list[dict[str, Any]]] = {way: [] for way in folders}
        for way in progress(rounds * list(folders), "measurement"):
            found[way].append(timed(folders[way], way, settings))
        sizes = {way: _file_bytes(folder) for way, folder in folders.items()}
    result = {
        "run": run,
        **asdict(cell),
        "ways": {way: {"file_bytes": sizes[way], "rounds": of} for way, of in found.items()},
        "provenance": {
            "recipe": dict(recipe),
            **compute_setting("bfloat16", device),
            "threads": threads,
            "instructions": cpu.instructions() if device == "cpu" else "",
            "cost": meter.read(),
            **environment(),
        },
    }
    write_json(output, result)


def _folders(
    model_directory: Path,
    hardened: Path | None,
    device: str,
    recipe: Mapping[str, Any],
    temporary: Path,
) -> dict[str, Path]:
    """Checkpoint by way: dense ones, and for a pruned or rounded cell also its own."""
    dense = hardened or models.intact_checkpoint(model_directory)
    folders = {"bfloat16": dense}
    if device == "cpu":
        if cpu.instructions():
            folders["own kernel"] = dense
        folders["float32"] = dense
    if hardened is None:
        return folders
    manifest = read_json(hardened / "manifest.json")
    check(hardened / "manifest.json", manifest["recipe"], recipe["checkpoint"])
    own = recipe["checkpoint"]["masks"]["method"]
    if "bits" in own:  # rounded, for which torch has kernels on CPUs
        return folders | ({f"{own['bits']} bits": dense} if device == "cpu" else {})
    pack_checkpoint(hardened, temporary)
    return folders | {"bitmask": temporary} | ({"csr": dense} if device == "cpu" else {})


def _file_bytes(folder: Path) -> int:
    return sum(
        file.stat().st_size for file in folder.glob("*.safetensors") if "mask" not in file.name
    )

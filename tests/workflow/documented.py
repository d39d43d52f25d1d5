"""The documentation's examples, as tests follow them to the letter."""

import re
from collections.abc import Iterable, Set
from pathlib import Path
from typing import Any

import yaml


def documented_files(suite: Path, section: str) -> dict[str, str]:
    """What each fenced block of a section says, by the file named in front of it."""
    text = (suite / "CONTRIBUTING.md").read_text()
    return files_in(text.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0])


def files_in(text: str) -> dict[str, str]:
    """What each fenced block says, by the file that begins a line in front of it."""
    return dict(re.findall(r"^`([^`]+)`[^`]*.*?```\w+\n(.*?)```", text, flags=re.M | re.S))


def add_documented(suite: Path, section: str, new: Set[str], changed: str) -> str:
    """Write the `new` files of a section, all but the one that is `changed`; what it adds there."""
    return add_files(suite, documented_files(suite, section), new, changed)


def add_files(suite: Path, files: dict[str, str], new: Set[str], changed: str) -> str:
    """Write the `new` ones of `files`; what the other one says."""
    assert set(files) == {*new, changed}
    for name in new:
        assert not (suite / name).exists()
        (suite / name).parent.mkdir(exist_ok=True)
        (suite / name).write_text(files[name])
    return files[changed]


def in_one_grid(configurations: Iterable[str]) -> dict[str, Any]:
    """The methods of several examples, and one grid with all that theirs list."""
    methods: dict[str, Any] = {}
    grid: dict[str, list[Any]] = {}
    for example in map(yaml.safe_load, configurations):
        assert set(example) == {"methods", "grid"}
        methods |= example["methods"]
        for key, values in example["grid"].items():
            grid[key] = list(dict.fromkeys([*grid.get(key, []), *values]))
    return {"methods": methods, "grid": grid}

"""CONTRIBUTING's examples, as tests follow them to the letter."""

import re
from collections.abc import Set
from pathlib import Path


def documented_files(suite: Path, section: str) -> dict[str, str]:
    """What each fenced block of a section says, by the file named in front of it."""
    text = (suite / "CONTRIBUTING.md").read_text()
    body = text.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    return dict(re.findall(r"^`([^`]+)`[^`]*.*?```\w+\n(.*?)```", body, flags=re.M | re.S))


def add_documented(suite: Path, section: str, new: Set[str]) -> str:
    """Write the `new` files of a section, which must be all but config.yaml; what that one says."""
    files = documented_files(suite, section)
    assert set(files) == {*new, "config.yaml"}
    for name in new:
        assert not (suite / name).exists()
        (suite / name).parent.mkdir(exist_ok=True)
        (suite / name).write_text(files[name])
    return files["config.yaml"]

"""CONTRIBUTING's examples, as tests follow them to the letter."""

import re
from pathlib import Path


def documented_files(suite: Path, section: str) -> dict[str, str]:
    """What each fenced block of a section says, by the file named in front of it."""
    text = (suite / "CONTRIBUTING.md").read_text()
    body = text.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    return dict(re.findall(r"^`([^`]+)`[^`]*.*?```\w+\n(.*?)```", body, flags=re.M | re.S))

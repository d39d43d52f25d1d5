"""The documentation as a site: built without a warning, and no page leads nowhere."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.conftest import ROOT

pytest.importorskip("mkdocs", reason="needs mkdocs: pip install -r envs/docs.txt")


class Links(HTMLParser):
    """Addresses of a page's links, images, styles and scripts."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for key, value in attrs if key in ("href", "src") and value]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(place)],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return place


def test_every_page_is_in_the_navigation(site):
    named = set(re.findall(r": ([\w-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.M))
    assert named == {file.name for file in (ROOT / "docs").glob("*.md")} | {"CONTRIBUTING.md"}


def test_links_and_images_exist(site):
    pages = [page for page in site.rglob("*.html") if page.name != "404.html"]
    assert len(pages) > 20
    images = 0
    for page in pages:
        for link in Links(page).found:
            if link.startswith(("http", "#", "data:", "mailto:")):
                continue
            target = (page.parent / unquote(link.partition("#")[0])).resolve()
            assert target.exists(), f"{page.relative_to(site)}: {link}"
            images += target.suffix == ".svg"
    assert images >= 5


def test_the_reference_has_signatures_and_docstrings(site):
    text = re.sub(r"<[^>]+>", "", (site / "api/index.html").read_text(encoding="utf-8"))
    for words in (
        "learn_masks(",
        "save_seconds",
        "Raises ValueError for unusable settings or data",
    ):
        assert words in text

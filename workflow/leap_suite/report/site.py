"""MkDocs hook: files outside docs that its pages link to, and the links to them.

Pages are written for a checkout, where `../results/examples/...` and `../CONTRIBUTING.md` exist. On
the site these files lie beside the pages; a link to anything else outside docs is only its text.
"""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
_OUT = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(\.\./([^)#\s]+)(#[^)\s]+)?\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the tracked examples and CONTRIBUTING.md."""
    from mkdocs.structure.files import File

    examples = (path for path in (ROOT / "results/examples").rglob("*") if path.is_file())
    for path in (ROOT / "CONTRIBUTING.md", *examples):
        place = path.relative_to(ROOT).as_posix()
        # its evaluations and items are thousands of files that no page shows
        if path.suffix in (".md", ".svg") or place.endswith("documents.csv.gz"):
            files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Links out of docs lead to the added files."""
    if page.file.src_uri == "CONTRIBUTING.md":
        markdown = markdown.replace("](docs/", "](")

    def inside(link: re.Match[str]) -> str:
        image, text, place, anchor = link.groups(default="")
        found = files.get_file_from_path(place)
        return f"{image}[{text}]({place}{anchor})" if found else text

    return _OUT.sub(inside, markdown)

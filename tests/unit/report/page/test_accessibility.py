"""The page checked by axe-core, in light and dark, on a wide screen and on a phone.

axe-core is an npm package: `npm install --no-save --no-package-lock axe-core` at the top of the
checkout, or `npm install --global axe-core`, puts it where it is looked for.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.unit.report.browser import FRAME, found_in, needs_chromium

INSIDE = """<script>AXE</script>
<script>addEventListener("load", async () => {
  for (const part of document.querySelectorAll("details")) part.open = true;
  const run = await axe.run(document, {resultTypes: ["violations"]});
  parent.postMessage(JSON.stringify({
    width: innerWidth, dark: matchMedia("(prefers-color-scheme: dark)").matches,
    passes: run.passes.length,
    violations: run.violations.map(each => [each.id, each.nodes.map(node => node.html)]),
  }), "*");
});</script></body>"""


def _axe() -> Path | None:
    folders = [ROOT / "node_modules"]
    if npm := shutil.which("npm"):
        asked = subprocess.run([npm, "root", "--global"], capture_output=True, text=True)
        folders.append(Path(asked.stdout.strip() or "."))
    files = [folder / "axe-core/axe.min.js" for folder in folders]
    return next((file for file in files if file.is_file()), None)


def violations(text: str, folder: Path, width: int, dark: bool) -> dict[str, list]:
    """Violations in the unfolded page by rule; skips without axe-core."""
    axe = _axe()
    if axe is None:
        pytest.skip("no axe-core: npm install --no-save --no-package-lock axe-core")
    inside = INSIDE.replace("AXE", axe.read_text())
    (folder / "page.html").write_text(text.replace("</body>", inside))
    (folder / "frame.html").write_text(FRAME.format(width=width))
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    found = found_in(folder / "frame.html", width + 50, scheme, time=60_000)
    assert (found["width"], found["dark"]) == (width, dark)
    assert found["passes"] > 20
    return dict(found["violations"])


@needs_chromium
@pytest.mark.parametrize(
    ("report", "width", "dark"),
    [("leap", 1280, False), ("leap", 1280, True), ("wanda", 400, False), ("wanda", 400, True),
     ("not in the grid", 400, True)],
    indirect=["report"],
)  # fmt: skip
def test_axe_finds_nothing(report, tmp_path, width, dark):
    """LEAP's verdicts hold or not, Wanda's are contradicted, and without LEAP there are none."""
    assert violations(report.path.read_text(), tmp_path, width, dark) == {}


@needs_chromium
@pytest.mark.parametrize("report", ["leap"], indirect=True)
def test_axe_finds_what_is_wrong(report, tmp_path):
    text = report.path.read_text()
    for good, bad in (
        ('<html lang="en">', "<html>"),
        ('<pre tabindex="0"', "<pre"),
        ("--quiet: #52525b", "--quiet: #bbbbbb"),
        ("<h3>", "<h6>"),
    ):
        assert good in text
        text = text.replace(good, bad)
    found = violations(text, tmp_path, 400, dark=False)
    assert {"html-has-lang", "color-contrast", "heading-order"} <= set(found)
    assert "scrollable-region-focusable" in found

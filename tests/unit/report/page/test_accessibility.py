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


@needs_chromium
@pytest.mark.parametrize(
    ("report", "width", "dark"),
    [("leap", 1280, False), ("leap", 1280, True), ("wanda", 400, False), ("wanda", 400, True),
     ("not in the grid", 400, True)],
    indirect=["report"],
)  # fmt: skip
def test_axe_finds_nothing(report, tmp_path, width, dark):
    """LEAP's verdicts hold or not, Wanda's are contradicted, and without LEAP there are none."""
    axe = _axe()
    if axe is None:
        pytest.skip("no axe-core: npm install --no-save --no-package-lock axe-core")
    inside = INSIDE.replace("AXE", axe.read_text())
    (tmp_path / "page.html").write_text(report.path.read_text().replace("</body>", inside))
    (tmp_path / "frame.html").write_text(FRAME.format(width=width))
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    found = found_in(tmp_path / "frame.html", width + 50, scheme, time=60_000)
    assert (found["width"], found["dark"]) == (width, dark)
    assert found["passes"] > 20 and found["violations"] == []

"""The report's page in Chromium, whose script's findings end up in the document that it prints."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

# Chromium's windows have 500 pixels at least, so that a page is shown in a frame, which has the
# colours that the one around it asks for. What the page posts is what is found.
FRAME = """<!doctype html><meta name="color-scheme" content="light dark">
<iframe src="page.html" width="{width}" height="900" style="border: 0"></iframe>
<pre id="found"></pre>
<script>addEventListener("message", event => {{
  document.getElementById("found").textContent = event.data;
}});</script>"""


def found_in(page: Path, width: int, *options: str, time: int = 5000) -> Any:
    """What `page` writes into its element `found`, as JSON; `time` are virtual milliseconds."""
    process = subprocess.run(
        [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
         "--no-first-run", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", f"--user-data-dir={page.parent / 'profile'}",
         "--enable-logging=stderr", f"--window-size={width},900",
         f"--virtual-time-budget={time}", "--dump-dom", *options, f"file://{page}"],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert "CONSOLE" not in process.stderr, process.stderr[-2000:]
    found = re.search(r'<pre id="found">(.*?)</pre>', process.stdout, re.S)
    assert found, process.stdout[-2000:]
    return json.loads(html.unescape(found[1]))

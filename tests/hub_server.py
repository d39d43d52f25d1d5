"""Server of the part of the Hugging Face Hub's protocol that models and data sets need.

Tests cannot reach the Hub; `huggingface_hub`, `datasets`, their caches and errors are real.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.conftest import ROOT

REVISION = "0123456789abcdef0123456789abcdef01234567"
_CHUNK = 1 << 14
_PATH = r"(/api)?/(?:(datasets|models)/)?([^/]+/[^/]+)(?:/(resolve|tree|revision)/(\w+))?(?:/(.*))?"


class _Hub(BaseHTTPRequestHandler):
    """Models are the folders `owner/name` below `root`, the same at every commit; data sets are
    the folders `datasets/owner/name/<commit>`.

    The file `main` in a repository holds the newest commit, which is REVISION without it.
    """

    root: Path
    gated: bool
    seconds_per_chunk: float
    requests: list[str]

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        self.requests.append(f"{self.command} {self.path}")
        if self.gated:
            self._send(401, b"", {"X-Error-Code": "GatedRepo", "X-Error-Message": "gated"}, body)
        else:
            url = urlsplit(self.path)
            self._send(*self._found(unquote(url.path), "recursive=true" in url.query.lower()), body)

    def _found(self, path: str, recursive: bool) -> tuple[int, bytes, dict[str, str]]:
        """Status, content and headers of an answer."""
        _, kind, name, what, commit, rest = re.fullmatch(_PATH, path).groups()
        repository = self.root / ("datasets" if kind == "datasets" else "") / name
        if not repository.is_dir():
            return 404, b"", {"X-Error-Code": "RepoNotFound"}
        if commit in (None, "main"):
            newest = repository / "main"
            commit = newest.read_text() if newest.is_file() else REVISION
        folder = repository / commit if kind == "datasets" else repository
        if not folder.is_dir():
            return 404, b"", {"X-Error-Code": "RevisionNotFound"}
        if what == "resolve":
            if not (folder / rest).is_file():
                return 404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}
            content = (folder / rest).read_bytes()
            return 200, content, {"ETag": f'"{_hash(content)}"', "X-Repo-Commit": commit}
        answer: object = {"id": name, "sha": commit, "siblings": []}
        if what == "tree":
            place = folder / (rest or "")
            files = sorted(place.rglob("*") if recursive else place.iterdir())
            answer = [_entry(file, file.relative_to(folder).as_posix()) for file in files]
        return 200, json.dumps(answer).encode(), {}

    def _send(self, status: int, content: bytes, headers: dict[str, str], body: bool) -> None:
        begin, end = 0, len(content)
        if wanted := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            begin, status = int(wanted[1]), 206
            end = min(end, int(wanted[2]) + 1) if wanted[2] else end
            headers = {**headers, "Content-Range": f"bytes {begin}-{end - 1}/{len(content)}"}
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(end - begin)}.items():
            self.send_header(name, value)
        self.end_headers()
        for start in range(begin, end if body else 0, _CHUNK):
            self.wfile.write(content[start : min(start + _CHUNK, end)])
            time.sleep(self.seconds_per_chunk)

    def log_message(self, *_: object) -> None:
        pass


def _entry(file: Path, path: str) -> dict[str, object]:
    """Description of a file or folder at `path` in its repository."""
    if file.is_dir():
        return {"type": "directory", "path": path, "oid": path}
    return {"type": "file", "path": path, "size": file.stat().st_size, "oid": path}


def _hash(content: bytes) -> str:
    """SHA-256 as for LFS objects, or the SHA-1 of git, by which the Hub's cache names a file."""
    if len(content) > 10_000:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def hub(
    root: Path, gated: bool = False, seconds_per_chunk: float = 0.0
) -> Iterator[tuple[str, list[str]]]:
    """Serve the repositories below `root`; gives the address for HF_ENDPOINT and the requests."""
    requests: list[str] = []
    settings = {
        "root": root, "gated": gated, "seconds_per_chunk": seconds_per_chunk,
        "requests": requests,
    }  # fmt: skip
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Hub", (_Hub,), settings))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        server.server_close()


def in_process(code: str, endpoint: str, home: Path, offline: bool = False) -> Any:
    """The JSON value `result` of a new process, since libraries read these variables once."""
    environment = {
        **os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HUB_MIRROR": "",
        "HF_HUB_OFFLINE": str(int(offline)), "HF_DATASETS_OFFLINE": str(int(offline)),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "workflow")]),
    }  # fmt: skip
    code = f"{code}\nimport json\nprint('result', json.dumps(result))"
    home.mkdir(parents=True, exist_ok=True)
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=home, env=environment, text=True, capture_output=True
    )
    assert process.returncode == 0, process.stderr[-3000:]
    return json.loads(process.stdout.rpartition("result ")[2])

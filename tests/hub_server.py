"""A server that speaks as much of the Hugging Face hub's protocol as models and data sets take.

The hub itself is out of a test's reach; `huggingface_hub`, its cache and its errors are real.
"""

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

REVISION = "0123456789abcdef0123456789abcdef01234567"
_CHUNK = 1 << 14


class _Hub(BaseHTTPRequestHandler):
    """Models are the folders `owner/name` below `root`, the same at every commit that is asked for;
    the newest is in the file `owner/name/main`, or REVISION.

    Data sets are the folders `datasets/owner/name/<commit>`; the file `datasets/owner/name/main`
    holds the newest commit.
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
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/\w+(\?.*)?", self.path):
            files = sorted((self.root / found[1]).iterdir())
            tree = [_entry(file, file.name) for file in files]
            self._send(200, json.dumps(tree).encode(), {}, body)
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/main", self.path):
            newest = self.root / found[1] / "main"
            commit = newest.read_text() if newest.is_file() else REVISION
            about = {"id": found[1], "sha": commit, "siblings": []}
            self._send(200, json.dumps(about).encode(), {}, body)
        elif "/datasets/" in self.path:
            self._send(*self._of_dataset(unquote(urlsplit(self.path).path)), body)
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/(\w+)/(.+)", self.path):
            content = (self.root / found[1] / found[3]).read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()}"'
            self._send(200, content, {"ETag": etag, "X-Repo-Commit": found[2]}, body)
        else:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"}, body)

    def _of_dataset(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        """Status, content and headers of an answer about a data set at one of its commits."""
        place = r"(?:/api)?/datasets/([^/]+/[^/]+)(?:/(\w+)/([^/]+))?(?:/(.*))?"
        name, what, commit, rest = re.fullmatch(place, path).groups()
        repository = self.root / "datasets" / name
        if not repository.is_dir():
            return 404, b"", {"X-Error-Code": "RepoNotFound"}
        if commit in (None, "main"):
            commit = (repository / "main").read_text()
        folder = repository / commit
        if not folder.is_dir():
            return 404, b"", {"X-Error-Code": "RevisionNotFound"}
        if what == "resolve":
            if not (folder / rest).is_file():
                return 404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}
            content = (folder / rest).read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()}"'
            return 200, content, {"ETag": etag, "X-Repo-Commit": commit}
        answer: object = {"id": name, "sha": commit, "siblings": []}
        if what == "tree":
            files = sorted(file for file in (folder / (rest or "")).iterdir() if file.is_file())
            answer = [_entry(file, file.relative_to(folder).as_posix()) for file in files]
        return 200, json.dumps(answer).encode(), {}

    def _send(self, status: int, content: bytes, headers: dict[str, str], body: bool) -> None:
        begin = 0
        if wanted := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            begin, status = int(wanted[1]), 206
            headers = {**headers, "Content-Range": f"bytes {begin}-/{len(content)}"}
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content) - begin)}.items():
            self.send_header(name, value)
        self.end_headers()
        for start in range(begin, len(content) if body else 0, _CHUNK):
            self.wfile.write(content[start : start + _CHUNK])
            time.sleep(self.seconds_per_chunk)

    def log_message(self, *_: object) -> None:
        pass


def _entry(file: Path, path: str) -> dict[str, object]:
    """What the hub says of a file that is at `path` in its repository."""
    return {"type": "file", "path": path, "size": file.stat().st_size, "oid": path}


@contextmanager
def hub(
    root: Path, gated: bool = False, seconds_per_chunk: float = 0.0
) -> Iterator[tuple[str, list[str]]]:
    """The address (for HF_ENDPOINT) of a hub with these repositories, and its list of requests."""
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

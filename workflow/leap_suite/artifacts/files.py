"""Atomic writing of files and folders, and checksums."""

import glob
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path that replaces `path`, a file or folder, on success.

    Temporary paths are removed on an error, and those of killed processes at the next attempt.
    The result has the permissions of new files, whichever library wrote it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        if not _is_running(int(left.name.split(".")[-2])):
            _remove(left)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        mode = new_mode(temporary)
        yield temporary
        grant(temporary, mode)
        if path.is_dir():
            shutil.rmtree(path)
        os.replace(temporary, path)
    finally:
        _remove(temporary)


def new_mode(place: Path) -> int:
    """Permissions of a new folder at the unused path `place`, which is created and removed.

    They follow from umask or the parent's default ACL; reading the umask would mean setting it,
    also for other threads.
    """
    place.mkdir()
    mode = stat.S_IMODE(place.stat().st_mode) & 0o777
    place.rmdir()
    return mode


def grant(path: Path, mode: int) -> None:
    """Set the permissions of a file or of a folder's content, files without execution.

    Some libraries write files that only their owner can read.
    """
    for part in [path, *path.rglob("*")] if path.is_dir() else [path]:
        found = part.lstat().st_mode
        if stat.S_ISREG(found) or stat.S_ISDIR(found):
            wanted = mode if stat.S_ISDIR(found) else mode & 0o666
            part.chmod(stat.S_IMODE(found) & ~0o777 | wanted)


def _is_running(process: int) -> bool:
    with suppress(PermissionError):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
    return True


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file with LF line ends."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | Path, value: Mapping[str, Any]) -> None:
    """Write a mapping as indented JSON with a checksum; NaN and infinity raise ValueError."""
    text = json.dumps({**value, "checksum": _checksum(value)}, indent=2, allow_nan=False)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n")


def read_json(path: str | Path) -> Any:
    """Content of a JSON file without its checksum, if any.

    Raises ValueError, naming the file, where it is damaged.
    """
    try:
        value = json.loads(Path(path).read_text())
        if isinstance(value, dict) and value.pop("checksum", None) not in (None, _checksum(value)):
            raise ValueError("wrong checksum")
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}): delete it and run again") from None
    return value


def _checksum(value: Mapping[str, Any]) -> str:
    """SHA-256 of a mapping as JSON with sorted keys."""
    as_read = json.loads(json.dumps(value))
    return hashlib.sha256(json.dumps(as_read, sort_keys=True).encode()).hexdigest()


def sha256(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

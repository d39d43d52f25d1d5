"""Writing files whole or not at all, and their checksums."""

import glob
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, file or folder, that takes its place at the end.

    On an error nothing takes its place and the temporary one is removed. What a killed process
    has left of the same path is removed too. Whoever wrote it, it gets the permissions that new
    files have.
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
    """The permissions of a new folder at the unused path `place`, made for a moment to see them.

    That is 0o777 without the user's umask, or what the parent's default ACL says; to read the
    umask itself is to set it, which other threads would notice.
    """
    place.mkdir()
    mode = stat.S_IMODE(place.stat().st_mode) & 0o777
    place.rmdir()
    return mode


def grant(path: Path, mode: int) -> None:
    """Give a file or all of a folder these permissions, files without execution.

    Libraries write files that only their owner can read, which keeps out who shares the results.
    """
    for part in [path, *path.rglob("*")] if path.is_dir() else [path]:
        found = part.lstat().st_mode
        if stat.S_ISREG(found) or stat.S_ISDIR(found):
            wanted = mode if stat.S_ISDIR(found) else mode & 0o666
            part.chmod(stat.S_IMODE(found) & ~0o777 | wanted)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file, UTF-8 and with the same line ends everywhere."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | Path, value: Mapping[str, Any]) -> None:
    """Write a mapping as indented JSON with a checksum; NaN and infinity raise ValueError."""
    text = json.dumps({**value, "checksum": _checksum(value)}, indent=2, allow_nan=False)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file. Raises ValueError that names it where it is damaged.

    A checksum is compared where there is one, and left out.
    """
    try:
        value = json.loads(Path(path).read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged ({error}): delete it and run again") from None
    checksum = value.pop("checksum", None) if isinstance(value, dict) else None
    if checksum is not None and checksum != _checksum(value):
        raise ValueError(f"{path} is damaged (wrong checksum): delete it and run again")
    return value


def _checksum(value: Mapping[str, Any]) -> str:
    """SHA-256 of a mapping as JSON, whatever the order of its keys."""
    as_read = json.loads(json.dumps(value))
    return hashlib.sha256(json.dumps(as_read, sort_keys=True).encode()).hexdigest()


def sha256(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

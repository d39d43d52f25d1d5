"""Jobs held at their most breakable moment: a file is written, and not yet in its place."""

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
    """Holds every job that is about to rename a temporary file to one of `files`.

    Those are paths as in the Snakefile. `environment` is for Snakemake; `folder` has to be empty.
    """

    def __init__(self, folder: Path, *files: str) -> None:
        folder.mkdir()
        self.folder = folder
        self.files = files
        (folder / "sitecustomize.py").write_text(_HOOK.format(folder=str(folder), files=files))
        self.environment = {"PYTHONPATH": str(folder)}

    def wait(self, run: subprocess.Popen[str]) -> None:
        """Wait until all files are held in a run."""

        def all_are_held() -> bool:
            assert run.poll() is None, "the run has ended, and a file was put in place at once"
            return all((self.folder / str(n)).exists() for n in range(len(self.files)))

        wait_until(all_are_held)

    def free(self) -> None:
        """Let all jobs go on."""
        (self.folder / "free").touch()


def wait_until(holds: Callable[[], object], seconds: float = 180) -> None:
    """Look again and again; fail where it does not come true in time."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds:.0f} s"
        time.sleep(0.02)

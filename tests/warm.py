"""A process that has the large libraries loaded, and forks for the Python programs of tests.

Importing them takes longer than all else that most of these programs do. It is the suite's own warm
worker (`suite.jobs.worker`), but for the suite, which every fork imports from where it is to be.
"""

import os
import secrets
import socket
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

from suite.jobs import worker
from suite.jobs.hand_over import WORKER_VARIABLE, address
from suite.jobs.job import use_threads

ROOT = Path(__file__).parents[1]
CODE = [str(ROOT), str(ROOT / "workflow")]
# beside what the worker loads
_LOADED = ("snakemake.cli", "smart_open", "jsonschema", "torch.distributed.run")
_OURS = ("baselines", "leap", "suite")
_NAME = "TEST_WARM_PROCESS"  # for forks, which have no WORKER_VARIABLE, and what they start
_BEGIN = f"""
import os, sys
if os.environ.get({WORKER_VARIABLE!r}):
    sys.path.insert(1, {CODE[1]!r})
    from suite.jobs.hand_over import hand_over
    hand_over()
    # there is none, or it has gone: as a process of its own
    sys.path.remove({CODE[1]!r})
    for name in [name for name in sys.modules if name.partition(".")[0] == "suite"]:
        del sys.modules[name]
"""
_FOR_CHILDREN = f"os.environ[{WORKER_VARIABLE!r}] = os.environ[{_NAME!r}]\n"
SNAKEMAKE = f"""{_FOR_CHILDREN}
sys.path[0] = os.getcwd()
from snakemake.cli import main
main()
"""
TORCHRUN = f"""{_FOR_CHILDREN}
from torch.distributed.run import main
main()
"""


class WarmProcess:
    """Ends with the process that made it, and its forks with it."""

    def __init__(self) -> None:
        """Begin to load the libraries; programs that come before they are loaded wait."""
        self._name = ""
        if sys.platform != "linux":  # the worker is for Linux
            return
        name = f"leap-suite-tests-{os.getpid()}-{secrets.token_hex(8)}"
        lifeline, self._kept_open = os.pipe()
        with socket.socket(socket.AF_UNIX) as door:
            door.bind(address(name))
            door.listen(64)
            subprocess.Popen(
                [sys.executable, __file__, str(door.fileno())], stdin=lifeline,
                pass_fds=[door.fileno()],
                env={**os.environ, **worker._FORKABLE, "PYTHONPATH": os.pathsep.join(CODE)},
            )  # fmt: skip
        os.close(lifeline)
        self._name = f"{name}:{sys.prefix}"

    def environment(self) -> dict[str, str]:
        """Variables that a program needs to run in a fork."""
        return {**os.environ, WORKER_VARIABLE: self._name, _NAME: self._name}


def write_program(text: str, file: Path) -> list[str]:
    """Write a program that runs in a fork, and its command."""
    file.write_text(_BEGIN + text)
    return [sys.executable, str(file)]


def _serve() -> None:
    libraries = [place for place in sys.path[1:] if place not in CODE]
    use_threads(1)
    for module in _LOADED:
        import_module(module)
    request = worker.serve(socket.socket(fileno=int(sys.argv[1])))
    if request:
        # as in a process of its own
        places = request["environment"].get("PYTHONPATH", "").split(os.pathsep)
        sys.path[:] = ["", *filter(None, places), *libraries]
        for name in list(sys.modules):
            if name.partition(".")[0] in _OURS:
                del sys.modules[name]
        tempfile.tempdir = None
        worker._run(request["arguments"])


if __name__ == "__main__":
    _serve()

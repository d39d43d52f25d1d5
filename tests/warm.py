"""Fork server for the Python programs of tests, which saves them large imports.

It is the suite's own (`leap_suite.jobs.fork_server`), but for the suite, which every fork imports
from its own folder.
"""

import os
import socket
import sys
import tempfile
from importlib import import_module
from pathlib import Path

from leap_suite.jobs import fork_server
from leap_suite.jobs.fork_client import SERVER_VARIABLE
from leap_suite.jobs.job import use_threads

ROOT = Path(__file__).parents[1]
CODE = [str(ROOT), str(ROOT / "workflow")]
# beside what the server imports
_IMPORTED = ("snakemake.cli", "smart_open", "jsonschema", "torch.distributed.run")
_OURS = ("baselines", "leap", "leap_suite")
_NAME = "TEST_FORK_SERVER"  # for forks, which have no SERVER_VARIABLE, and what they start
_BEGIN = f"""
import os, sys
if os.environ.get({SERVER_VARIABLE!r}):
    sys.path.insert(1, {CODE[1]!r})
    from leap_suite.jobs.fork_client import run_in_fork
    run_in_fork()
    # there is no server, or it has gone: as a process of its own
    sys.path.remove({CODE[1]!r})
    for name in [name for name in sys.modules if name.partition(".")[0] == "leap_suite"]:
        del sys.modules[name]
"""
_FOR_CHILDREN = f"os.environ[{SERVER_VARIABLE!r}] = os.environ[{_NAME!r}]\n"
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
    """A fork server that ends with the process that made it."""

    def __init__(self) -> None:
        """Start it; programs wait until its libraries are imported."""
        self._name = ""
        if fork_server.AVAILABLE:
            fork_server.start([__file__], PYTHONPATH=os.pathsep.join(CODE))
            self._name = os.environ.pop(SERVER_VARIABLE)

    def environment(self) -> dict[str, str]:
        """Variables that a program needs to run in a fork."""
        return {**os.environ, SERVER_VARIABLE: self._name, _NAME: self._name}


def write_program(text: str, file: Path) -> list[str]:
    """Write a program that runs in a fork, and its command."""
    file.write_text(_BEGIN + text)
    return [sys.executable, str(file)]


def _serve() -> None:
    libraries = [place for place in sys.path[1:] if place not in CODE]
    use_threads(1)
    for module in _IMPORTED:
        import_module(module)
    job = fork_server.serve(socket.socket(fileno=int(sys.argv[1])))
    if job:
        # as in a process of its own
        places = job["environment"].get("PYTHONPATH", "").split(os.pathsep)
        sys.path[:] = ["", *filter(None, places), *libraries]
        for name in list(sys.modules):
            if name.partition(".")[0] in _OURS:
                del sys.modules[name]
        tempfile.tempdir = None
        fork_server.run(job)


if __name__ == "__main__":
    _serve()

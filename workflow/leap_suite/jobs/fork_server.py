"""Fork server: small jobs need it, since importing torch and lm-eval takes longer than their work.

It imports the large libraries once and forks for every job. A run starts a server (`start`); the
scripts of its jobs ask it for a fork (`leap_suite.jobs.fork_client`). It ends with the process that
started it, and no job outlives it.
"""

import ctypes
import gc
import json
import os
import runpy
import secrets
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from leap_suite.jobs.fork_client import (
    SERVER_VARIABLE,
    STARTED,
    STREAMS,
    address,
    is_same_user,
    open_socket,
)
from leap_suite.jobs.job import use_threads
from leap_suite.jobs.log import rare_bars

AVAILABLE = sys.platform == "linux"
WORTHWHILE = 3  # jobs of a run; fewer have finished before the libraries are imported

_IMPORTED = (
    "torch",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.llama.modeling_llama",
    "transformers.models.qwen2.modeling_qwen2",
    "transformers.models.gemma3.modeling_gemma3",
    "datasets",
    "lm_eval.evaluator",
    "lm_eval.models.huggingface",
    "lm_eval.tasks",
    "pandas",
    "matplotlib.pyplot",
)
# keep imports from starting a thread, and the question whether there is a GPU from starting CUDA
_FORKABLE = {
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
}
_LARGEST_JOB = 2**22  # bytes
_SECONDS_FOR_A_JOB = 5.0  # to arrive
_PR_SET_PDEATHSIG = 1


@dataclass
class _Job:
    """A fork, as its pid and a descriptor that becomes readable when it ends, and its script."""

    pid: int
    ended: int
    script: socket.socket


def start(program: Sequence[str] = ("-m", __name__), **variables: str) -> None:
    """Start a server for the jobs that this process starts from now on.

    Jobs that come before its libraries are imported wait for it.
    """
    name = f"leap-suite-{os.getpid()}-{secrets.token_hex(8)}"
    # nobody writes to this pipe: its end tells the server that this process has gone
    lifeline, _kept_open = os.pipe()
    with open_socket() as door:
        door.bind(address(name))
        door.listen(64)
        subprocess.Popen(
            [sys.executable, *program, str(door.fileno())], stdin=lifeline,
            pass_fds=[door.fileno()], env={**os.environ, **_FORKABLE, **variables},
        )  # fmt: skip
    os.close(lifeline)
    os.environ[SERVER_VARIABLE] = f"{name}:{sys.prefix}"


def serve(door: socket.socket) -> dict[str, Any] | None:
    """Fork for every job. Returns the job in a fork, and None in the server at its end."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)  # jobs get them from their scripts
    use_threads(1)  # numpy starts its threads when it is imported
    rare_bars()
    for module in _IMPORTED:
        import_module(module)
    if len(os.listdir("/proc/self/task")) > 1:
        print("no fork server: a library has started a thread, and cannot fork", file=sys.stderr)
        return None
    gc.freeze()
    with door, selectors.DefaultSelector() as events:
        events.register(door, selectors.EVENT_READ)
        events.register(sys.stdin, selectors.EVENT_READ)
        while True:
            for key, _ in events.select():
                if key.fileobj is sys.stdin:
                    _end(events)
                    return None
                if key.fileobj is door:
                    if job := _fork(door.accept()[0], events):
                        return job
                elif key.fileobj is key.data.script:
                    _pass_on(key.data, events)
                else:
                    _report(key.data, events)


def run(job: Mapping[str, Any]) -> None:
    """Run the script of a job in this process."""
    sys.argv = job["arguments"]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    finally:
        # at its end Python flushes sys.stdout, in whose place the job may have put another file
        if sys.__stdout__ is not None:
            sys.__stdout__.flush()


def _fork(script: socket.socket, events: selectors.BaseSelector) -> dict[str, Any] | None:
    try:
        job, streams = _receive(script)
    except (OSError, ValueError):
        script.close()
        return None
    server, pid = os.getpid(), os.fork()
    if not pid:
        for key in events.get_map().values():
            if key.data:
                key.data.script.close()  # of other jobs
        _become(job, streams, server)
        return job
    with suppress(OSError):
        os.setpgid(pid, pid)  # as the fork itself does: whoever comes first
    for stream in streams:
        os.close(stream)
    forked = _Job(pid, os.pidfd_open(pid), script)
    events.register(forked.ended, selectors.EVENT_READ, forked)
    events.register(script, selectors.EVENT_READ, forked)
    return None


def _receive(script: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """A job and its streams. Raises OSError or ValueError for one that has no script waiting."""
    if not is_same_user(script):
        raise ValueError("another user")
    script.settimeout(_SECONDS_FOR_A_JOB)
    message, streams, _, _ = socket.recv_fds(script, _LARGEST_JOB, len(STREAMS))
    script.settimeout(None)
    try:
        job = json.loads(message)
        script.send(STARTED)
    except (OSError, ValueError):
        for stream in streams:
            os.close(stream)
        raise
    return job, streams


def _become(job: Mapping[str, Any], streams: list[int], server: int) -> None:
    """Take on the job's group of processes, streams, folder, umask and environment."""
    os.setpgid(0, 0)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server:
        os.kill(os.getpid(), signal.SIGKILL)
    for number, stream in zip(STREAMS, streams, strict=True):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(job["folder"])
    os.umask(job["umask"])
    os.environ.clear()
    os.environ.update(job["environment"])
    del os.environ[SERVER_VARIABLE]  # a job that starts itself again is this job
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_DFL)


def _pass_on(job: _Job, events: selectors.BaseSelector) -> None:
    """Send the job a signal from its script; kill it if the script has gone."""
    try:
        signals = job.script.recv(16)
    except OSError:
        signals = b""
    for signum in signals:
        os.kill(job.pid, signum)
    if not signals:
        events.unregister(job.script)
        os.killpg(job.pid, signal.SIGKILL)


def _report(job: _Job, events: selectors.BaseSelector) -> None:
    """Send the script the exit status of its job, negative for a signal."""
    _, status = os.waitpid(job.pid, 0)
    with suppress(OSError):  # the script may have gone
        job.script.send(str(os.waitstatus_to_exitcode(status)).encode())
    events.unregister(job.ended)
    with suppress(KeyError):
        events.unregister(job.script)
    os.close(job.ended)
    job.script.close()


def _end(events: selectors.BaseSelector) -> None:
    """Ask all jobs to stop, so that trainings save their state, and wait for them."""
    jobs = {key.data.pid: key.data for key in events.get_map().values() if key.data}
    for pid in jobs:
        os.kill(pid, signal.SIGTERM)
    for job in jobs.values():
        _report(job, events)


if __name__ == "__main__":
    if own_job := serve(socket.socket(fileno=int(sys.argv[1]))):
        run(own_job)

"""The warm worker: a process that has the large libraries loaded, and forks for every job.

A small job takes longer to import them than to do its work. A run starts a worker (`start`); the
scripts of its jobs hand themselves over to it (`suite.jobs.hand_over`). It ends with the process
that started it, and no job outlives it.
"""

import ctypes
import gc
import os
import runpy
import secrets
import selectors
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from suite.jobs.hand_over import WORKER_VARIABLE, accept, address, answer, receive
from suite.jobs.job import use_threads
from suite.jobs.log import rare_bars

_LOADED = (
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
# so that importing them begins no thread, and asking whether there is a GPU does not begin CUDA
_FORKABLE = {
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
}
# jobs of a run; fewer are done by the time that the libraries are loaded
WORTHWHILE = 3
_PR_SET_PDEATHSIG = 1


@dataclass
class _Job:
    """A forked process, as its pid and a descriptor that says when it ends, and its script."""

    pid: int
    ended: int
    script: socket.socket


def start() -> None:
    """Begin a worker for the jobs that this process starts from now on.

    Jobs that come before its libraries are loaded wait for it.
    """
    name = f"leap-suite-{os.getpid()}-{secrets.token_hex(8)}"
    # nothing is written to this pipe: its end tells the worker that we have gone, however we went
    lifeline, _kept_open = os.pipe()
    environment = {**os.environ, **_FORKABLE}
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(address(name))
        door.listen(64)
        subprocess.Popen(
            [sys.executable, "-m", __name__, str(door.fileno())], stdin=lifeline, env=environment,
            pass_fds=[door.fileno()],
        )  # fmt: skip
    os.close(lifeline)
    os.environ[WORKER_VARIABLE] = f"{name}:{sys.prefix}"


def serve(door: socket.socket) -> dict[str, Any] | None:
    """Fork for every job that comes: its request in the fork; None in the worker, at the end."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)  # jobs are told by their scripts
    use_threads(1)  # numpy starts its threads when it is imported
    rare_bars()
    for module in _LOADED:
        import_module(module)
    if len(os.listdir("/proc/self/task")) > 1:
        print("no warm worker: a library has started a thread, and cannot fork", file=sys.stderr)
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
                    script, _ = door.accept()
                    request = _begin(script, events)
                    if request:
                        return request
                elif key.fileobj is key.data.script:
                    _pass_on(key.data, events)
                else:
                    _report(key.data, events)


def _begin(script: socket.socket, events: selectors.BaseSelector) -> dict[str, Any] | None:
    try:
        request, streams = receive(script)
    except (OSError, ValueError):
        script.close()
        return None
    worker, pid = os.getpid(), os.fork()
    if not pid:
        for key in events.get_map().values():
            if key.data:
                key.data.script.close()  # of other jobs
        _become(request, streams, worker)
        return request
    with suppress(OSError):
        os.setpgid(pid, pid)  # as the fork itself does: whoever comes first
    for stream in streams:
        os.close(stream)
    job = _Job(pid, os.pidfd_open(pid), script)
    with suppress(OSError):  # a script that has gone is seen by `_pass_on`
        accept(script)
    events.register(job.ended, selectors.EVENT_READ, job)
    events.register(script, selectors.EVENT_READ, job)
    return None


def _become(request: dict[str, Any], streams: list[int], worker: int) -> None:
    """Take on what is the job's own: group of processes, streams, folder, umask, environment."""
    os.setpgid(0, 0)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != worker:
        os.kill(os.getpid(), signal.SIGKILL)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request["folder"])
    os.umask(request["umask"])
    os.environ.clear()
    os.environ.update(request["environment"])
    del os.environ[WORKER_VARIABLE]  # a job that starts itself again is this job
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_DFL)


def _pass_on(job: _Job, events: selectors.BaseSelector) -> None:
    """Send the job the signals that its script got; where the script has gone, end the job."""
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
    """The job has ended: tell its script how."""
    _, status = os.waitpid(job.pid, 0)
    with suppress(OSError):  # the script may have gone
        answer(job.script, os.waitstatus_to_exitcode(status))
    events.unregister(job.ended)
    with suppress(KeyError):
        events.unregister(job.script)
    os.close(job.ended)
    job.script.close()


def _end(events: selectors.BaseSelector) -> None:
    """Who started the worker has gone: let trainings save their state, then nothing is left."""
    jobs = {key.data.pid: key.data for key in events.get_map().values() if key.data}
    for pid in jobs:
        os.kill(pid, signal.SIGTERM)
    for job in jobs.values():
        _report(job, events)


def _run(arguments: list[str]) -> None:
    sys.argv = arguments
    sys.path[0] = str(Path(arguments[0]).parent)
    runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    job_of_mine = serve(socket.socket(fileno=int(sys.argv[1])))
    if job_of_mine:
        _run(job_of_mine["arguments"])

"""A job's script hands its job over to the warm worker, and ends as the job ends there.

What goes over the line: arguments, environment, folder and umask as JSON, and the three standard
streams themselves; a byte comes back when the job begins; then the numbers of signals go over; at
last the exit status comes back.
"""

import json
import os
import signal
import socket
import struct
import sys
from contextlib import suppress
from typing import Any

WORKER_VARIABLE = "LEAP_SUITE_WORKER"  # a worker's name, a colon and the prefix of its Python
_LENGTH = struct.Struct("!I")
_STATUS = struct.Struct("!i")
_PEER = struct.Struct("3i")  # pid, uid, gid
_STREAMS = (0, 1, 2)
_BEGUN = b"+"
_SECONDS_FOR_A_JOB = 5.0  # to come over the line
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def hand_over() -> None:
    """Let the worker run this very script, and exit with its status.

    Waits while the worker loads its libraries, which is what the script would do itself. Returns
    where there is no worker, or one that takes no jobs: the script then does its job itself. A
    signal that is sent to this process reaches the job; with this process the job ends.
    """
    name, _, python = os.environ.get(WORKER_VARIABLE, "").partition(":")
    if not name or python != sys.prefix:  # of a job in an environment of its own
        return
    with socket.socket(socket.AF_UNIX) as line:
        try:
            line.connect(address(name))
        except OSError:
            return
        if not is_ours(line) or not _is_taken(line):
            return
        for signum in _SIGNALS:
            signal.signal(signum, lambda number, _: line.sendall(bytes([number])))
        status = line.recv(_STATUS.size, socket.MSG_WAITALL)
    if len(status) < _STATUS.size:
        sys.exit("the warm worker has gone, and this job with it: run again")
    _end_with(*_STATUS.unpack(status))


def address(name: str) -> str:
    """Where a worker listens: no file that could stay behind, but a name that the kernel keeps."""
    return f"\0{name}"


def is_ours(line: socket.socket) -> bool:
    """Whether the process at the other end runs for the same user."""
    found = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    return bool(_PEER.unpack(found)[1] == os.getuid())


def receive(line: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """The job that `hand_over` sent, and its streams.

    Raises ValueError for another user, half a job, or one that nobody waits for any more.
    """
    if not is_ours(line):
        raise ValueError("another user")
    line.settimeout(_SECONDS_FOR_A_JOB)
    head, streams, _, _ = socket.recv_fds(line, _LENGTH.size, len(_STREAMS))
    try:
        (length,) = _LENGTH.unpack(head)
        job = json.loads(line.recv(length, socket.MSG_WAITALL))
        line.setblocking(False)
        with suppress(BlockingIOError):
            if not line.recv(1, socket.MSG_PEEK):
                raise ValueError("the script has gone")
        line.setblocking(True)
        return job, streams
    except (OSError, ValueError, struct.error):
        for stream in streams:
            os.close(stream)
        raise ValueError("half a job, or nobody waits for it") from None


def accept(line: socket.socket) -> None:
    """Tell the script that its job has begun."""
    line.sendall(_BEGUN)


def answer(line: socket.socket, status: int) -> None:
    """Tell the script how its job ended: its exit status, or the negative number of a signal."""
    line.sendall(_STATUS.pack(status))


def _is_taken(line: socket.socket) -> bool:
    """Send the job, and wait until it begins or the worker has gone."""
    try:
        _send(line)
        return line.recv(len(_BEGUN)) == _BEGUN
    except OSError:
        return False


def _send(line: socket.socket) -> None:
    umask = os.umask(0)
    os.umask(umask)
    job = {
        "arguments": sys.argv,
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "umask": umask,
    }
    body = json.dumps(job).encode()
    socket.send_fds(line, [_LENGTH.pack(len(body))], _STREAMS)
    line.sendall(body)


def _end_with(status: int) -> None:
    if status < 0:
        with suppress(OSError):  # SIGKILL has no other handler
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)

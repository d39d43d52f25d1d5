"""Client of the fork server: a job's script runs itself in a fork and exits as the fork exits.

Messages over the socket, in order: the job as JSON with the three standard streams; `+` when it
starts; numbers of signals for it, a byte each; at the end its exit status.
"""

import json
import os
import signal
import socket
import struct
import sys
from contextlib import suppress

SERVER_VARIABLE = "LEAP_SUITE_FORK_SERVER"  # the server's name, a colon, the prefix of its Python
STARTED = b"+"
STREAMS = (0, 1, 2)
_PEER = struct.Struct("3i")  # pid, uid, gid
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def run_in_fork() -> None:
    """Run this script in a fork of the server, and exit with its status.

    Waits until the server has imported its libraries. Returns, for the script to run by itself,
    without a server or if the server takes no job. Signals for this process are passed to the job,
    which does not outlive this process.
    """
    name, _, python = os.environ.get(SERVER_VARIABLE, "").partition(":")
    if not name or python != sys.prefix:  # the job has an environment of its own
        return
    with open_socket() as line:
        try:
            line.connect(address(name))
            if not is_same_user(line):
                return
            send_job(line)
            if line.recv(len(STARTED)) != STARTED:
                return
        except OSError:
            return
        for signum in _SIGNALS:
            signal.signal(signum, lambda number, _: line.send(bytes([number])))
        status = line.recv(16)
    if not status:
        sys.exit("the fork server has gone, and this job with it: run again")
    _exit(int(status))


def open_socket() -> socket.socket:
    """A socket that keeps messages apart."""
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def address(name: str) -> str:
    """Address of a server: a name in the kernel, which leaves no file behind."""
    return f"\0{name}"


def is_same_user(line: socket.socket) -> bool:
    """Whether the process at the other end belongs to this user."""
    found = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    return bool(_PEER.unpack(found)[1] == os.getuid())


def send_job(line: socket.socket) -> None:
    """Send arguments, environment, folder, umask and streams of this process.

    Raises OSError for an environment larger than a message may be (about 200 kB).
    """
    umask = os.umask(0)
    os.umask(umask)
    job = {
        "arguments": sys.argv,
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "umask": umask,
    }
    socket.send_fds(line, [json.dumps(job).encode()], STREAMS)


def _exit(status: int) -> None:
    if status < 0:
        with suppress(OSError):  # SIGKILL has no other handler
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)

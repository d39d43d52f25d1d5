"""Jobs in forks of the fork server, as real processes: same results, and nothing is left."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from leap_suite.jobs.fork_client import SERVER_VARIABLE, address
from leap_suite.jobs.fork_server import AVAILABLE
from tests.warm import CODE
from tests.workflow.held import wait_until

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(not AVAILABLE, reason="the fork server is for Linux"),
]

STARTER = f"""
import os, sys
from leap_suite.jobs import fork_server
fork_server.start()
print(os.environ["{SERVER_VARIABLE}"], flush=True)
sys.stdin.read()
"""
# what every job script of the suite begins with; then the job itself
BEGIN = """
import os, signal, sys, time
from pathlib import Path
sys.path[:0] = {path!r}
from leap_suite.jobs.job import job, use_threads
use_threads(2)
with job({log!r}):
    Path("pid").write_text(str(os.getpid()))
"""


class Server:
    """A fork server, and the process that started it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.starter = subprocess.Popen(
            [sys.executable, "-c", STARTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, env=environment, start_new_session=True,
        )  # fmt: skip
        self.value = self.starter.stdout.readline().strip()
        self.name = self.value.partition(":")[0]
        (child,) = psutil.Process(self.starter.pid).children()
        self.pid = child.pid

    def connections(self) -> int:
        """Sockets of its address: its door, and one for each job."""
        return Path("/proc/net/unix").read_text().count(f"@{self.name}\n")

    def end(self) -> None:
        self.starter.kill()
        if psutil.pid_exists(self.pid):
            os.kill(self.pid, signal.SIGCONT)
        self.starter.communicate()
        wait_until(lambda: not self.connections())


def is_alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*CODE, os.environ.get("PYTHONPATH", "")])}


@pytest.fixture(scope="module")
def shared(environment) -> Iterator[Server]:
    server = Server(environment)
    yield server
    server.end()


@pytest.fixture
def own(environment) -> Iterator[Server]:
    """A server that a test may kill."""
    server = Server(environment)
    yield server
    server.end()


@pytest.fixture
def start(tmp_path, environment) -> Callable[..., subprocess.Popen[str]]:
    """Start a job's script in a folder of its own, to which it writes its process id."""

    def run(body: str, name: str, **more: str) -> subprocess.Popen[str]:
        (tmp_path / "pid").unlink(missing_ok=True)
        begin = BEGIN.format(path=CODE, log=str(tmp_path / "log"))
        lines = "".join(f"    {line}\n" for line in body.splitlines())
        (tmp_path / "script.py").write_text(begin + lines)
        return subprocess.Popen(
            [sys.executable, str(tmp_path / "script.py"), "one", "two"], cwd=tmp_path, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
            env={**environment, **more, SERVER_VARIABLE: name},
        )  # fmt: skip

    return run


@pytest.fixture
def job_pid(tmp_path) -> Callable[[], int]:
    """The process of the job, once it has written its id."""

    def read() -> int:
        file = tmp_path / "pid"
        wait_until(lambda: file.exists() and file.read_text())
        return int(file.read_text())

    return read


WHAT_A_JOB_SEES = """
import json, torch, torch.multiprocessing
umask = os.umask(0); os.umask(umask)
ours = {key: value for key, value in os.environ.items() if key != "LEAP_SUITE_FORK_SERVER"}
threads = [name for name in ("torch", "numpy") if name in sys.modules] and torch.get_num_threads()
out, other = sys.__stdout__, sys.__stderr__  # the job's own streams, and not its log
seen = [sys.argv[1:], os.getcwd(), umask, ours, threads, __name__, sys.path[0]]
print(json.dumps(seen), file=out)
print("to the other stream", file=other)
torch.manual_seed(0)
product = torch.randn(300, 300) @ torch.randn(300, 300)
print(torch.randn(3).tolist(), product.sum().item(), file=out)
"""


def test_a_job_sees_what_it_would_see_alone(shared, start, job_pid):
    before = os.umask(0o027)
    try:
        found = []
        for name in ("", shared.value):
            process = start(WHAT_A_JOB_SEES, name, OF_THE_JOB="1")
            output = process.communicate()
            found.append((output, process.returncode))
            assert (job_pid() == process.pid) == (not name)
    finally:
        os.umask(before)
    assert found[0] == found[1]
    arguments, _, umask, ours, threads, *_ = json.loads(found[0][0][0].splitlines()[0])
    assert (arguments, umask, ours["OF_THE_JOB"], threads) == (["one", "two"], 0o027, "1", 2)


@pytest.mark.parametrize(
    "body",
    [
        "sys.exit(3)",
        "sys.exit('a message')",
        "raise ValueError('something')",
        "os.kill(os.getpid(), signal.SIGKILL)",
        "os.kill(os.getpid(), signal.SIGSEGV)",
        "os._exit(7)",
    ],
)
def test_a_job_ends_as_it_would_alone(body, shared, start):
    ends = []
    for name in ("", shared.value):
        process = start(body, name)
        output = process.communicate()
        ends.append((process.returncode, [line.split(" ", 1)[-1] for line in output]))
    assert ends[0] == ends[1]


WAITING = """
def stop(*_):
    Path("told").write_text("yes")
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
Path("ready").write_text("")
time.sleep(600)
"""


@pytest.mark.parametrize(
    ("signum", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, -signal.SIGINT)]
)
def test_a_signal_reaches_the_job_once(signum, status, shared, start, job_pid, tmp_path):
    process = start(WAITING, shared.value)
    pid = job_pid()
    wait_until((tmp_path / "ready").exists)
    os.kill(shared.pid, signum)  # as Ctrl-C does, which must not end the server
    process.send_signal(signum)
    process.communicate()
    assert process.returncode == status
    assert (tmp_path / "told").exists() == (signum == signal.SIGTERM)
    wait_until(lambda: not is_alive(pid))


def test_with_its_script_the_job_is_killed(shared, start, job_pid, tmp_path):
    process = start(WAITING, shared.value)
    pid = job_pid()
    process.kill()
    process.communicate()
    wait_until(lambda: not is_alive(pid))
    assert not (tmp_path / "told").exists()
    assert start("pass", shared.value).wait() == 0, "the server takes the next one"
    wait_until(lambda: not psutil.Process(shared.pid).children())


def test_with_the_server_its_jobs_are_killed_and_say_so(own, start, job_pid):
    process = start(WAITING, own.value)
    pid = job_pid()
    os.kill(own.pid, signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode == 1 and "the fork server has gone" in errors
    wait_until(lambda: not is_alive(pid))


def test_jobs_wait_for_the_imports_and_run_alone_if_the_server_dies(own, start, job_pid, tmp_path):
    os.kill(own.pid, signal.SIGSTOP)  # as if its imports took long
    given_up = start("Path('ran').touch()", own.value)
    wait_until(lambda: own.connections() == 2)
    given_up.kill()
    given_up.wait()
    waiting = start("pass", own.value)
    wait_until(lambda: own.connections() == 3)
    os.kill(own.pid, signal.SIGCONT)
    assert waiting.wait() == 0 and job_pid() != waiting.pid
    assert not (tmp_path / "ran").exists(), "nobody waited for it any more"
    os.kill(own.pid, signal.SIGSTOP)
    waiting = start("pass", own.value)
    wait_until(lambda: own.connections() == 2)
    os.kill(own.pid, signal.SIGKILL)
    assert waiting.wait() == 0 and job_pid() == waiting.pid


def test_when_the_run_has_gone_jobs_are_stopped_and_nothing_is_left(own, start, job_pid, tmp_path):
    process = start(WAITING, own.value)
    pid = job_pid()
    wait_until((tmp_path / "ready").exists)
    own.starter.kill()
    process.communicate()
    assert (tmp_path / "told").exists() and process.returncode == 143
    wait_until(lambda: not is_alive(pid) and not is_alive(own.pid))
    assert not own.connections()


def test_a_job_that_the_server_cannot_take_runs_alone(shared, start, job_pid):
    """In an environment of its own, or with more variables than a message holds."""
    other = f"{shared.name}:/another/environment"
    large = {f"LARGE_{number}": "x" * 100_000 for number in range(10)}
    for name, more in ((other, {}), (shared.value, large)):
        process = start("pass", name, **more)
        assert process.wait() == 0 and job_pid() == process.pid


@pytest.mark.skipif(os.getuid() != 0, reason="becoming another user takes root")
def test_another_user_is_not_served(shared, environment):
    """Neither does the server fork for others, nor does a script give its job to another's."""
    code = f"""
import os
from leap_suite.jobs.fork_client import is_same_user, open_socket, send_job
os.setgid(65534); os.setuid(65534)
line = open_socket()
line.connect({address(shared.name)!r})
assert not is_same_user(line)
try:
    send_job(line)
    answer = line.recv(4)
except OSError:
    answer = b""
assert answer == b""
"""
    process = subprocess.run(
        [sys.executable, "-c", code], cwd="/", env=environment, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr

"""The warm worker as real processes: a job is the same with it, and nothing outlives anything."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from suite.jobs.hand_over import WORKER_VARIABLE, address

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(sys.platform != "linux", reason="the worker is for Linux"),
]

ROOT = Path(__file__).parents[3]
STARTER = """
import os, sys
from suite.jobs import worker
worker.start()
print(os.environ["LEAP_SUITE_WORKER"], flush=True)
sys.stdin.read()
"""
# what every job script of the suite begins with; then the job itself
BEGIN = """
import os, signal, sys, time
from pathlib import Path
sys.path[:0] = {path!r}
from suite.jobs.job import job, use_threads
use_threads(2)
with job({log!r}):
    Path("pid").write_text(str(os.getpid()))
"""


class Running:
    """A worker, and the process that started it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.starter = subprocess.Popen(
            [sys.executable, "-c", STARTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, env=environment, start_new_session=True,
        )  # fmt: skip
        self.value = self.starter.stdout.readline().strip()
        self.name = self.value.partition(":")[0]
        wait_until(self.is_listening)
        (self.pid,) = children(self.starter.pid)

    def is_listening(self) -> bool:
        return any(line.endswith("@" + self.name) for line in sockets())

    def end(self) -> None:
        self.starter.kill()
        self.starter.communicate()
        wait_until(lambda: not self.is_listening())


def sockets() -> list[str]:
    return Path("/proc/net/unix").read_text().splitlines()


def children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def is_alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), str(ROOT / "workflow"), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path}


@pytest.fixture(scope="module")
def shared(environment) -> Iterator[Running]:
    worker = Running(environment)
    yield worker
    worker.end()


@pytest.fixture
def own(environment) -> Iterator[Running]:
    """A worker that a test may kill."""
    worker = Running(environment)
    yield worker
    worker.end()


@pytest.fixture
def start(tmp_path, environment) -> Callable[..., subprocess.Popen[str]]:
    """Start a job's script in a folder of its own, which it tells its process id."""

    def run(body: str, name: str, **more: str) -> subprocess.Popen[str]:
        (tmp_path / "pid").unlink(missing_ok=True)
        begin = BEGIN.format(path=[str(ROOT), str(ROOT / "workflow")], log=str(tmp_path / "log"))
        lines = "".join(f"    {line}\n" for line in body.splitlines())
        (tmp_path / "script.py").write_text(begin + lines)
        return subprocess.Popen(
            [sys.executable, str(tmp_path / "script.py"), "one", "two"], cwd=tmp_path, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
            env={**environment, **more, WORKER_VARIABLE: name},
        )  # fmt: skip

    return run


def job_of(folder: Path) -> int:
    """The process that does the job, once it has said so."""
    wait_until(lambda: (folder / "pid").exists() and (folder / "pid").read_text() != "")
    return int((folder / "pid").read_text())


WHAT_A_JOB_SEES = """
import json, torch, torch.multiprocessing
umask = os.umask(0); os.umask(umask)
ours = {key: value for key, value in os.environ.items() if key != "LEAP_SUITE_WORKER"}
threads = [name for name in ("torch", "numpy") if name in sys.modules] and torch.get_num_threads()
out, other = sys.__stdout__, sys.__stderr__  # the job's own streams, and not its log
seen = [sys.argv[1:], os.getcwd(), umask, ours, threads, __name__, sys.path[0]]
print(json.dumps(seen), file=out)
print("to the other stream", file=other)
torch.manual_seed(0)
product = torch.randn(300, 300) @ torch.randn(300, 300)
print(torch.randn(3).tolist(), product.sum().item(), file=out)
"""


def test_a_job_sees_what_it_would_see_alone(shared, start, tmp_path):
    before = os.umask(0o027)
    try:
        found = []
        for name in ("", shared.value):
            process = start(WHAT_A_JOB_SEES, name, OF_THE_JOB="1")
            output = process.communicate()
            found.append((output, process.returncode, job_of(tmp_path) == process.pid))
    finally:
        os.umask(before)
    (alone, status, itself), (forked, forked_status, forked_itself) = found
    assert itself and not forked_itself, "the second one was to be the worker's"
    assert status == forked_status == 0
    seen, seen_by_fork = (json.loads(output.splitlines()[0]) for output, _ in (alone, forked))
    assert seen_by_fork == seen
    assert (forked[0].splitlines()[1:], forked[1]) == (alone[0].splitlines()[1:], alone[1])
    assert seen[0] == ["one", "two"] and seen[2] == 0o027 and seen[3]["OF_THE_JOB"] == "1"
    assert seen[4] == 2


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
def test_a_signal_reaches_the_job_once(signum, status, shared, start, tmp_path):
    process = start(WAITING, shared.value)
    pid = job_of(tmp_path)
    wait_until((tmp_path / "ready").exists)
    process.send_signal(signum)
    process.communicate()
    assert process.returncode == status
    assert (tmp_path / "told").exists() == (signum == signal.SIGTERM)
    wait_until(lambda: not is_alive(pid))


def test_with_its_script_the_job_is_killed(shared, start, tmp_path):
    process = start(WAITING, shared.value)
    pid = job_of(tmp_path)
    process.kill()
    process.communicate()
    wait_until(lambda: not is_alive(pid))
    assert not (tmp_path / "told").exists()
    assert start("pass", shared.value).wait() == 0, "the worker serves the next one"
    assert children(shared.pid) == []


def test_with_the_worker_its_jobs_are_killed_and_say_so(own, start, tmp_path):
    process = start(WAITING, own.value)
    pid = job_of(tmp_path)
    os.kill(own.pid, signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode == 1 and "the warm worker has gone" in errors
    wait_until(lambda: not is_alive(pid))
    process = start("pass", own.value)
    assert process.wait() == 0 and job_of(tmp_path) == process.pid, "it does its job itself"


def connections(worker: Running) -> int:
    return sum(line.endswith("@" + worker.name) for line in sockets()) - 1  # less its door


def test_jobs_wait_while_the_libraries_are_loaded(own, start, tmp_path):
    given_up = start("Path('ran').touch()", own.value)
    wait_until(lambda: connections(own) == 1)
    given_up.kill()
    given_up.communicate()
    process = start("pass", own.value)
    assert process.wait() == 0 and job_of(tmp_path) != process.pid
    assert not (tmp_path / "ran").exists(), "nobody waited for it any more"


def test_a_worker_that_dies_before_it_serves_takes_no_job_along(own, start, tmp_path):
    process = start("pass", own.value)
    wait_until(lambda: connections(own) == 1)
    os.kill(own.pid, signal.SIGKILL)
    assert process.wait() == 0 and job_of(tmp_path) == process.pid


def test_when_the_run_has_gone_jobs_are_told_and_nothing_is_left(own, start, tmp_path):
    process = start(WAITING, own.value)
    pid = job_of(tmp_path)
    wait_until((tmp_path / "ready").exists)
    own.starter.kill()
    process.communicate()
    assert (tmp_path / "told").exists() and process.returncode == 143
    wait_until(lambda: not is_alive(pid) and not is_alive(own.pid))
    assert not own.is_listening()


def test_a_job_in_an_environment_of_its_own_is_not_handed_over(shared, start, tmp_path):
    process = start("pass", f"{shared.name}:/another/environment")
    assert process.wait() == 0 and job_of(tmp_path) == process.pid


def test_two_runs_have_two_workers(shared, own, start, tmp_path):
    for worker in (shared, own):
        process = start("Path('parent').write_text(str(os.getppid()))", worker.value)
        assert process.wait() == 0
        assert int((tmp_path / "parent").read_text()) == worker.pid


def test_a_full_memory_kills_one_job_only(shared, start, tmp_path):
    """What the kernel does to a job that takes too much is done here by its own limit."""
    body = (
        "import resource, torch\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32))\n"
        "torch.ones(2**33)"
    )
    process = start(body, shared.value)
    _, errors = process.communicate()
    assert process.returncode == 1 and "memory" in errors
    assert start("pass", shared.value).wait() == 0


@pytest.mark.skipif(os.getuid() != 0, reason="becoming another user takes root")
def test_another_user_is_not_served(shared, environment):
    """Neither does the worker fork for others, nor does a script give its job to another's."""
    code = f"""
import os, socket
from suite.jobs.hand_over import _send, is_ours
os.setgid(65534); os.setuid(65534)
line = socket.socket(socket.AF_UNIX)
line.connect({address(shared.name)!r})
assert not is_ours(line)
try:
    _send(line)
    answer = line.recv(4)
except OSError:
    answer = b""
assert answer == b""
"""
    process = subprocess.run(
        [sys.executable, "-c", code], cwd="/", env=environment, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr

"""Jobs write their logs, and say in the terminal whose line it is."""

import subprocess
import sys

JOB = """
import logging, subprocess, sys, time, warnings
from pathlib import Path
from leap_suite.jobs.job import job
logger = logging.getLogger("leap_suite")
with job(Path(sys.argv[1])):
    {body}
"""


def run(tmp_path, *body):
    """A job's exit status, what it wrote to the terminal, and its log."""
    log = tmp_path / "results/run/logs/train/tiny/leap/0.5.log"
    code = JOB.format(body="\n    ".join(body))
    process = subprocess.run([sys.executable, "-c", code, log], capture_output=True, text=True)
    return process, log.read_text()


def test_lines_in_the_terminal_have_the_jobs_name_and_from_a_warning_on_their_level(tmp_path):
    process, log = run(
        tmp_path, 'logger.debug("on GPU 0")', 'logger.info("half")', 'logger.warning("odd")'
    )
    assert (process.returncode, process.stdout) == (0, "")
    first, second = process.stderr.splitlines()
    assert first[8:] == " train tiny leap 0.5: half"
    assert second[8:] == " WARNING train tiny leap 0.5: odd"
    assert [line[9:] for line in log.splitlines()] == [
        "DEBUG leap_suite: on GPU 0", "INFO leap_suite: half", "WARNING leap_suite: odd"
    ]  # fmt: skip


def test_what_libraries_write_stays_in_the_log(tmp_path):
    process, log = run(
        tmp_path,
        'print("chatter")',
        'warnings.warn("old")',
        'print("on stderr", file=sys.stderr)',
        'subprocess.run(["echo", "of a child"], stdout=sys.stdout)',
    )
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")
    assert log.startswith("chatter\n") and "UserWarning: old" in log
    assert log.endswith("on stderr\nof a child\n")


def test_a_bar_under_way_is_a_line_and_a_short_one_is_nothing(tmp_path):
    process, log = run(
        tmp_path,
        "from tqdm import tqdm",
        'for _ in tqdm(range(10), desc="short"): pass',
        'with tqdm(total=4, desc="long", mininterval=0) as bar:',
        "    bar.update(1); time.sleep(0.01); bar.update(3)",
        'print("after")',
    )
    assert process.returncode == 0, log
    (line,) = process.stderr.splitlines()
    assert line[8:].startswith(" train tiny leap 0.5: long:  25%|")
    assert "short" not in log and log.count("long:  25%|") == 1
    assert log.endswith("after\n") and "\n\n" not in log


def test_an_error_is_in_both_and_the_status_is_1(tmp_path):
    process, log = run(tmp_path, 'raise RuntimeError("broken")')
    assert process.returncode == 1
    for text in (process.stderr, log):
        assert "RuntimeError: broken" in text and "Traceback" in text


def test_each_run_begins_its_log_anew(tmp_path):
    run(tmp_path, 'print("first")')
    assert run(tmp_path, 'print("second")')[1] == "second\n"

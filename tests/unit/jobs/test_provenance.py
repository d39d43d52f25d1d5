"""The commit that results name."""

import os
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def checkout(tmp_path_factory, copy_suite):
    """A git repository of this code, with one commit, and its `git`."""
    root = copy_suite(tmp_path_factory.mktemp("suite"))

    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b")
        return subprocess.run(
            ["git", *identity, *arguments], cwd=root, capture_output=True, text=True, check=True
        ).stdout.strip()

    git("init", "-q")
    git("add", "-A")
    git("commit", "-q", "-m", "all")
    return root, git


def commit_named_by(root) -> str:
    command = "from suite.jobs.provenance import git_commit; print(git_commit())"
    environment = {**os.environ, "PYTHONPATH": str(root / "workflow")}
    return subprocess.run(
        [sys.executable, "-c", command], env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_a_clean_checkout_is_its_commit_whatever_lies_in_results(checkout):
    root, git = checkout
    (root / "results/mini").mkdir(parents=True)
    (root / "results/mini/table.csv").touch()
    (root / "notes.txt").touch()
    assert commit_named_by(root) == git("rev-parse", "HEAD")


@pytest.mark.parametrize(
    "file", ["baselines/mine.py", "leap/mine.py", "workflow/schemas/methods/mine.schema.yaml"]
)
def test_code_that_git_does_not_track_makes_it_dirty(checkout, file):
    root, git = checkout
    (root / file).touch()
    assert commit_named_by(root) == git("rev-parse", "HEAD") + "-dirty"
    (root / file).unlink()
    assert commit_named_by(root) == git("rev-parse", "HEAD")


def test_a_changed_file_makes_it_dirty_wherever_it_is(checkout):
    root, _ = checkout
    before = (root / "config.yaml").read_text()
    (root / "config.yaml").write_text(before + "\n")
    assert commit_named_by(root).endswith("-dirty")
    (root / "config.yaml").write_text(before)


def test_outside_a_repository_it_is_unknown(tmp_path, copy_suite):
    copy = copy_suite(tmp_path / "suite")
    assert commit_named_by(copy) == "unknown"

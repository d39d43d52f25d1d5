"""What a release of the software refuses before it builds anything."""

import re
import subprocess
from pathlib import Path

import pytest

import leap
from tests.conftest import ROOT
from tests.release import CHANGES, CITATION, VERSION, checked_version, latest_section

TODAY = "2030-01-02"
FILES = {
    VERSION: '__version__ = "1.2.0"\n',
    CITATION: f'title: "Suite"\nversion: 1.2.0\ndate-released: "{TODAY}"\nlicense: Apache-2.0\n',
    CHANGES: f"# Changelog\n\n## [Unreleased]\n\n## [1.2.0] - {TODAY}\n\nNew.\n\n### Runs\n\n- A.\n"
    "\n## [1.1.0] - 2029-01-01\n\nOld.\n",
}


def git(place: Path, *arguments: str) -> str:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    command = ["git", *who, *arguments]
    return subprocess.run(command, cwd=place, check=True, capture_output=True, text=True).stdout


def commit(place: Path) -> None:
    git(place, "add", "-A")
    git(place, "commit", "-qm", "All")


@pytest.fixture
def place(tmp_path):
    """A repository whose version and dates agree."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    git(tmp_path, "init", "-q")
    commit(tmp_path)
    return tmp_path


def test_versions_that_agree_are_released_with_the_text_of_their_section(place):
    assert checked_version(place, TODAY) == "1.2.0"
    found = latest_section(place / CHANGES)
    assert found == ("1.2.0", TODAY, "New.\n\n### Runs\n\n- A.\n")


@pytest.mark.parametrize("name", [CITATION, "new.py"])
def test_a_tree_with_changes_is_refused(place, name):
    with open(place / name, "a") as file:
        file.write("more\n")
    with pytest.raises(ValueError, match=rf"the tree has changes.*\n.*{name}"):
        checked_version(place, TODAY)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (VERSION, "1.2.0", "1.3.0", "__init__.py has version 1.3.0, CITATION.cff has 1.2.0"),
        (CITATION, "1.2.0", "1.3.0", "__init__.py has version 1.2.0, CITATION.cff has 1.3.0"),
        (CITATION, "version: 1.2.0\n", "", "CITATION.cff has 0 lines"),
        (CHANGES, "[1.2.0]", "[1.3.0]", "CHANGELOG.md has 1.3.0 first"),
        (CHANGES, f"## [1.2.0] - {TODAY}\n", "", "CHANGELOG.md has 1.1.0 first"),
        (CHANGES, TODAY, "2030-01-01", f"dates 1.2.0 2030-01-01: write {TODAY}"),
    ],
)
def test_versions_and_dates_that_differ_are_refused(place, name, old, new, message):
    text = (place / name).read_text()
    assert old in text
    (place / name).write_text(text.replace(old, new))
    commit(place)
    with pytest.raises(ValueError, match=re.escape(message)):
        checked_version(place, TODAY)
    assert git(place, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    "line", ['date-released: "2029-12-31"\n', "date-released: 2029-12-31\n", ""]
)
def test_the_citation_gets_todays_date_which_is_committed_before_the_release(place, line):
    text = FILES[CITATION].replace(f'date-released: "{TODAY}"\n', line)
    (place / CITATION).write_text(text)
    commit(place)
    with pytest.raises(ValueError, match=f"date-released {TODAY}: commit it, and run again"):
        checked_version(place, TODAY)
    assert (place / CITATION).read_text() == FILES[CITATION]
    commit(place)
    assert checked_version(place, TODAY) == "1.2.0"


def test_this_checkouts_versions_agree():
    version, date, text = latest_section(ROOT / CHANGES)
    cited = (ROOT / CITATION).read_text(encoding="utf-8")
    assert leap.__version__ == version
    assert f"\nversion: {version}\n" in cited
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", date) and text

"""A release up to the step before publishing, `make release`.

Checks that HEAD is what is released and that version and date agree, builds both distributions of
HEAD into dist/, the wheel from the source distribution, and prints what publishes them.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

from leap_suite.artifacts.files import sha256, write_text

ROOT = Path(__file__).parents[1]
VERSION, CITATION, CHANGES = "leap/__init__.py", "CITATION.cff", "CHANGELOG.md"
NOTES = "RELEASE_NOTES.md"
_BUILD = "import setuptools.build_meta as b, sys; print(getattr(b, 'build_' + sys.argv[1])('dist'))"


def checked_version(root: Path, today: str) -> str:
    """The version that leap, the citation and the changelog's first release agree on.

    Raises ValueError if the tree has changes, the versions differ, or a date is not today's. A
    citation with another date is given today's, which then has to be committed.
    """
    if changes := _run("git", "status", "--porcelain", cwd=root):
        raise ValueError(f"the tree has changes, commit or remove them:\n{changes.rstrip()}")
    version = _only(r'^__version__ = "(.*)"$', root / VERSION)
    if (cited := _only(r"^version: (.*)$", root / CITATION)) != version:
        raise ValueError(
            f"{VERSION} has version {version}, {CITATION} has {cited}: make them equal"
        )
    released, dated, _ = latest_section(root / CHANGES)
    if released != version:
        raise ValueError(
            f"{VERSION} has version {version}, {CHANGES} has {released} first: make them equal"
        )
    if dated != today:
        raise ValueError(f"{CHANGES} dates {version} {dated}: write {today}, and commit it")
    if _set_date(root / CITATION, today):
        raise ValueError(f"{CITATION} now has date-released {today}: commit it, and run again")
    return version


def latest_section(changes: Path) -> tuple[str, str, str]:
    """Version, date and text of the changelog's latest release."""
    sections = re.split(r"^## ", changes.read_text(encoding="utf-8"), flags=re.M)
    for section in sections:
        if found := re.match(r"\[(\d.*)\] - (.*)\n", section):
            return found[1], found[2], section[found.end() :].strip() + "\n"
    raise ValueError(f"{changes.name} has no section of a release, ## [VERSION] - DATE")


def build(root: Path, target: Path) -> list[Path]:
    """Source distribution of HEAD, and the wheel built from it, in `target`."""
    with tempfile.TemporaryDirectory() as place:
        clone = Path(place, "clone")
        _run("git", "clone", "-q", str(root), str(clone), cwd=root)
        sdist = _built("sdist", clone)
        shutil.unpack_archive(sdist, place)
        wheel = _built("wheel", Path(place, sdist.name.removesuffix(".tar.gz")))
        target.mkdir(exist_ok=True)
        return [Path(shutil.copy2(file, target)) for file in (sdist, wheel)]


def release(root: Path, today: str) -> str:
    """Check, build and write the notes. What was made, and the commands that publish it."""
    version = checked_version(root, today)
    dist = root / "dist"
    files = build(root, dist)
    write_text(dist / NOTES, latest_section(root / CHANGES)[2])
    made = [f"dist/{f.name}  {f.stat().st_size:,} bytes  sha256 {sha256(f)}" for f in files]
    names = " ".join(f"dist/{file.name}" for file in files)
    publish = [
        f"git tag -a v{version} -m 'LEAP suite {version}'",
        f"git push origin v{version}",
        f"twine upload {names}",
    ]
    head = ["", "Nothing is published yet. These commands do it, with the notes for its page:", ""]
    return "\n".join([*made, f"dist/{NOTES}", *head, *(f"    {line}" for line in publish)])


def _only(pattern: str, file: Path) -> str:
    found = re.findall(pattern, file.read_text(encoding="utf-8"), re.M)
    if len(found) != 1:
        raise ValueError(f"{file.name} has {len(found)} lines like {pattern}, not one")
    return found[0]


def _set_date(citation: Path, today: str) -> bool:
    """Whether the date was another one."""
    text, line = citation.read_text(encoding="utf-8"), f'date-released: "{today}"\n'
    if line in text:
        return False
    without = re.sub(r"^date-released: .*\n", "", text, flags=re.M)
    write_text(citation, re.sub(r"^version: .*\n", rf"\g<0>{line}", without, flags=re.M))
    return True


def _built(kind: str, source: Path) -> Path:
    return source / "dist" / _run(sys.executable, "-c", _BUILD, kind, cwd=source).split()[-1]


def _run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"{' '.join(command[:2])} failed:\n{done.stderr.strip()}")
    return done.stdout


if __name__ == "__main__":
    try:
        print(release(ROOT, date.today().isoformat()))
    except ValueError as error:
        sys.exit(str(error))

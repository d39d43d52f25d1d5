"""What is installed and deployed: the wheel, alone in an environment, and by snakedeploy."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from datetime import date
from email import message_from_bytes
from pathlib import Path

import pytest

from leap_suite.artifacts.files import sha256
from leap_suite.plan.config import MINIATURES
from tests import release
from tests.conftest import ROOT

pytestmark = pytest.mark.heavy
# `https://github.com/owner/leap-suite` is the repository of the fixture for git
OWNER, SNAKEDEPLOY = "owner", "snakedeploy==0.17.1"


def call(*command: object, cwd: Path, **variables: str) -> str:
    """Output of a command that knows no PYTHONPATH."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | variables
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    """A bare repository with the checkout's files, committed and tagged as v1."""
    place = tmp_path_factory.mktemp("git")
    listed = call("git", "ls-files", "-z", cwd=ROOT).split("\0")
    for name in filter(None, listed):
        (place / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, place / "tree" / name, follow_symlinks=False)
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    for command in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "All"], ["tag", "v1"]):
        call("git", *command, cwd=place / "tree")
    bare = place / OWNER / "leap-suite"
    call("git", "clone", "-q", "--bare", place / "tree", bare, cwd=place)
    return bare


@pytest.fixture(scope="module")
def wheel(repository, tmp_path_factory) -> Path:
    """Built from the source distribution, which is built from a clone."""
    _, built = release.build(repository, tmp_path_factory.mktemp("build"))
    return built


def environment(place: Path) -> Path:
    """A new virtual environment's Python."""
    call(sys.executable, "-m", "venv", place, cwd=place.parent)
    return place / "bin/python"


def test_the_wheel_has_three_packages_with_their_data_and_four_dependencies(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        described = message_from_bytes(archive.read(metadata))
    folders = {name.split("/")[0] for name in names} - {metadata.split("/")[0]}
    assert folders == {"baselines", "leap", "leap_suite"}
    needed = [line for line in described.get_all("Requires-Dist") if "extra ==" not in line]
    assert {re.split(r"\W", line)[0] for line in needed} == {
        "safetensors", "torch", "tqdm", "transformers"
    }  # fmt: skip
    tracked = call("git", "ls-files", "leap", "baselines", "workflow", cwd=ROOT).split()
    links = {"schemas": "schemas", "scales": "scales", "report": "captions"}
    expected = set()
    for file in map(Path, tracked):
        if (ROOT / file).is_symlink() or file.name in (".gitignore", "README.md"):
            continue
        inside = file.relative_to("workflow") if file.parts[0] == "workflow" else file
        if inside.parts[0] in links:
            inside = Path("leap_suite", links[inside.parts[0]], *inside.parts[1:])
        if inside.parts[0] in folders:
            expected.add(inside.as_posix())
    assert expected <= names, sorted(expected - names)
    assert {f"leap_suite/published/{name}.csv" for name in ("leap", "thesis")} <= names


def test_a_release_is_built_from_what_is_committed_and_published_by_hand(repository, tmp_path):
    place, today = tmp_path / "clone", date.today().isoformat()
    call("git", "clone", "-q", repository, place, cwd=tmp_path)
    version = release.latest_section(place / "CHANGELOG.md")[0]
    for name, dated in {
        "CHANGELOG.md": (rf"(## \[{version}\] - ).*", rf"\g<1>{today}"),
        "CITATION.cff": (r"(date-released: ).*", rf'\g<1>"{today}"'),
    }.items():
        (place / name).write_text(re.sub(*dated, (place / name).read_text()))
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    call("git", *who, "commit", "--allow-empty", "-qam", "Dates", cwd=place)
    before = call("git", "show-ref", cwd=place)
    # left by an older build
    (place / "build/lib/leap").mkdir(parents=True)
    (place / "build/lib/leap/stale.py").touch()
    printed = call(
        sys.executable, "-m", "tests.release", cwd=place, PYTHONPATH=f"{place}:{place}/workflow"
    )
    made = re.findall(r"^dist/(\S+)  ([\d,]+) bytes  sha256 (\w+)$", printed, re.M)
    assert [name for name, *_ in made] == [
        f"leap_suite-{version}.tar.gz", f"leap_suite-{version}-py3-none-any.whl"
    ]  # fmt: skip
    for name, size, checksum in made:
        assert (place / "dist" / name).stat().st_size == int(size.replace(",", ""))
        assert sha256(place / "dist" / name) == checksum
    with zipfile.ZipFile(place / "dist" / made[1][0]) as archive:
        assert "leap/stale.py" not in archive.namelist()
    notes = (place / "dist/RELEASE_NOTES.md").read_text(encoding="utf-8")
    assert f" - {today}\n\n{notes}" in (place / "CHANGELOG.md").read_text() and "## [" not in notes
    for command in (
        f"git tag -a v{version} ",
        f"git push origin v{version}\n",
        "twine upload dist/",
    ):
        assert f"\n    {command}" in printed
    assert call("git", "show-ref", cwd=place) == before, "nothing is tagged"


@pytest.mark.network
def test_the_example_runs_where_nothing_else_is_installed(wheel, tmp_path):
    python = environment(tmp_path / "env")
    pins = ("-c", ROOT / "envs/requirements.txt")
    call(python, "-m", "pip", "install", "-q", wheel, *pins, cwd=tmp_path)
    for part in ("mini-llama-3.2-1b", "tokenizer"):
        shutil.copytree(MINIATURES / part, tmp_path / "model", dirs_exist_ok=True)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", readme, re.M | re.S)
    code = code.replace("length=1024", "length=64").replace("steps=500", "steps=3")
    given = 'path, texts = "model", [f"text {i} " * 64 for i in range(64)]\n'
    shown = "zeros = sum(int((m.weight == 0).sum()) for m in model.model.layers.modules() if "
    shown += "hasattr(m, 'weight'))\nprint(zeros > 0, leap.__version__)"
    assert call(python, "-c", given + code + shown, cwd=tmp_path).startswith("True ")
    absent = "import importlib.util as u; print(u.find_spec('mlflow'), u.find_spec('suite'))"
    assert call(python, "-c", absent, cwd=tmp_path) == "None None\n"
    command = [python.with_name("leap-suite"), "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert done.stderr.endswith("pip install -e '.[suite]'\n")


@pytest.mark.network
def test_a_deployed_workflow_runs_with_the_installed_package(repository, wheel, tmp_path):
    """Snakedeploy and Snakemake clone from https://github.com, which git takes for a folder."""
    python, tools = environment(tmp_path / "env"), environment(tmp_path / "tools")
    call(tools, "-m", "pip", "install", "-q", SNAKEDEPLOY, cwd=tmp_path)
    call(python, "-m", "pip", "install", "-q", "--no-deps", wheel, cwd=tmp_path)
    # everything else that is installed here, but not this checkout
    site = call(
        python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path
    )
    Path(site.strip(), "others.pth").write_text(sysconfig.get_path("purelib"))
    git = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{repository.parents[1]}/.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "PATH": f"{python.parent}:{tools.parent}:{os.environ['PATH']}",
    }
    place = tmp_path / "deployed"
    place.mkdir()
    url = f"https://github.com/{OWNER}/leap-suite"
    call("snakedeploy", "deploy-workflow", url, place, "--tag", "v1", cwd=tmp_path, **git)
    files = {str(file.relative_to(place)) for file in place.rglob("*") if file.is_file()}
    assert {"config/config.yaml", "config/README.md", "workflow/Snakefile"} <= files
    call(python, "-m", "snakemake", "--cores", "2", "--config", "scale=smoke", cwd=place, **git)
    assert (place / "results/smoke/report.html").is_file()
    verdict = (place / "results/smoke/tables/verdict.md").read_text()
    assert "LEAP" in verdict


def test_the_catalog_can_draw_the_rules():
    text = call(
        sys.executable, "-m", "snakemake", "--snakefile", ROOT / "workflow/Snakefile",
        "--directory", ROOT / ".test", "--configfile", ROOT / ".test/config/config.yaml",
        "--rulegraph", "dot", cwd=ROOT,
    )  # fmt: skip
    rules = set(re.findall(r'label = "(\w+)"', text))
    assert {"prune", "train", "harden", "evaluate", "page", "deployed"} <= rules

"""Import closures and fingerprints: what changes them, and what does not."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from suite.plan import code
from tests.conftest import ROOT


def forget() -> None:
    for cached in (code._file, code._read, code._fingerprint):
        cached.cache_clear()


@pytest.fixture
def edited(tmp_path, monkeypatch):
    """A small repository of three modules; `edited(module, text)` writes one anew."""
    texts = {
        "leap/a.py": "from leap import b\n\ndef f(x):\n    return b.g(x)\n",
        "leap/b.py": "def g(x):\n    return x + 1\n",
        "leap/c.py": "import leap.b\nVALUE = 3\n",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(code, "ROOT", tmp_path)

    def edit(module: str | None = None, text: str = "") -> dict[str, str]:
        if module:
            (tmp_path / f"leap/{module}.py").write_text(text)
        forget()
        return {name: code.fingerprint(f"leap.{name}") for name in "abc"}

    yield edit
    forget()


def test_code_that_is_proven_equal_keeps_the_fingerprint_of_the_old(edited, tmp_path, monkeypatch):
    proofs = tmp_path / "equal_code.yaml"
    proofs.write_text("# none yet\n")
    monkeypatch.setattr(code, "PROOFS", proofs)
    code._proven.cache_clear()
    first = edited()["b"]
    second = edited("b", "def g(x):\n    return 1 + x\n")["b"]
    third = edited("b", "def g(x):\n    return 1.0 * x + 1\n")["b"]
    assert len({first, second, third}) == 3
    proofs.write_text(
        yaml.safe_dump([{"same_bits": {second: first}}, {"same_bits": {third: second}}])
    )
    code._proven.cache_clear()
    assert edited()["b"] == first
    assert edited("b", "def g(x):\n    return 1 + x\n")["b"] == first
    assert edited("b", "def g(x):\n    return x\n")["b"] not in {first, second, third}
    code._proven.cache_clear()


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


def test_an_edit_reaches_all_that_import_the_module_and_nothing_else(edited):
    before = edited()
    assert changed(before, edited("b", "def g(x):\n    return x + 2\n")) == {"a", "b", "c"}
    before = edited()
    assert changed(before, edited("a", "from leap import b\n\ndef f(x):\n    return 0\n")) == {"a"}


@pytest.mark.parametrize(
    "text",
    [
        "def g(x):\n    return x + 1  # why\n",
        '"""What it is."""\n\n\ndef g(x):\n    """Adds."""\n    return (x\n            + 1)\n',
        "\n\n\ndef g(x):  return x+1",
    ],
)
def test_comments_docstrings_and_formatting_change_nothing(edited, text):
    assert changed(edited(), edited("b", text)) == set()


@pytest.mark.parametrize(
    "text",
    [
        "def g(x):\n    return x - 1\n",
        "def g(x):\n    return x + 1.0\n",
        "def g(y):\n    return y + 1\n",
        "def g(x=1):\n    return x + 1\n",
        'def g(x):\n    return x + 1\n"""no docstring"""\n',
    ],
)
def test_everything_else_changes_it(edited, text):
    assert changed(edited(), edited("b", text)) == {"a", "b", "c"}


def test_an_import_inside_a_function_counts_and_one_for_types_does_not(edited):
    edited("c", "def f():\n    from leap.b import g\n    return g\n")
    assert code.closure("leap.c") == ["leap.b", "leap.c"]
    typing = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from leap.b import g\n"
    edited("c", typing)
    assert code.closure("leap.c") == ["leap.c"]


def test_a_module_that_is_not_there_is_named():
    with pytest.raises(ValueError, match=r"there is no module leap\.nothing"):
        code.fingerprint("leap.nothing")


def test_data_files_count_by_name_and_content(tmp_path, monkeypatch):
    monkeypatch.setattr(code, "ROOT", tmp_path)
    (tmp_path / "data").mkdir()
    prints = set()
    for name, text in (("one", "1"), ("one", "2"), ("two", "2")):
        file = tmp_path / "data" / name
        file.write_text(text)
        code._fingerprint.cache_clear()
        prints.add(code.fingerprint(data=[tmp_path / "data"]))
        if text == "2":
            file.unlink()
    assert len(prints) == 3


def test_a_fingerprint_is_the_same_elsewhere_and_in_another_process(tmp_path, copy_suite):
    """A copy in another folder, with other times and another hash seed."""
    copy = copy_suite(tmp_path / "elsewhere")
    ask = "from suite.plan.code import fingerprint; print(fingerprint('suite.stages.evaluate'))"
    found = {
        subprocess.run(
            [sys.executable, "-c", ask], cwd=place, capture_output=True, text=True, check=True,
            env={"PYTHONPATH": f"{place}:{place}/workflow", "PYTHONHASHSEED": seed},
        ).stdout
        for place, seed in ((ROOT, "1"), (copy, "2"))
    }  # fmt: skip
    assert len(found) == 1


def test_no_result_depends_on_what_lies_outside():
    """Logs, tracking, planning and downloads are in no stage's closure; Python agrees."""
    execution = "suite.stages.execution"  # in which way a training is computed, which decides none
    stages = sorted(Path(ROOT, "workflow/suite/stages").glob("[a-z]*.py"))
    assert len(stages) > 8
    for file in stages:
        found = code.closure(f"suite.stages.{file.stem}")
        if f"suite.stages.{file.stem}" == execution:
            continue
        assert execution not in found
        assert not [name for name in found if code._is_outside(name)]
        planning = {name for name in found if name.startswith("suite.plan.")}
        assert planning <= {"suite.plan.cell", "suite.plan.metrics"}, file


def test_the_closure_has_every_module_that_python_loads():
    """An independent count: what an interpreter has loaded after importing the module."""
    for module in (
        "suite.tables.main",
        "suite.figures.gain",
        "leap.training.masks",
        "baselines.admm",
    ):
        ask = f"import sys, {module}; print('\\n'.join(sys.modules))"
        loaded = subprocess.run(
            [sys.executable, "-c", ask], cwd=ROOT, capture_output=True, text=True, check=True,
            env={"PYTHONPATH": f"{ROOT}:{ROOT}/workflow"},
        ).stdout.split()  # fmt: skip
        own = {name for name in loaded if name.split(".")[0] in ("leap", "baselines", "suite")}
        decides = {name for name in own if not code._is_outside(name)}
        packages = {name for name in decides if code._file(name).name == "__init__.py"}
        assert decides - packages <= set(code.closure(module))


def test_package_files_hold_docstrings_alone():
    """So that a closure may leave them out; but for leap's own, which only hands names on."""
    for package in ("leap", "baselines", "workflow/suite"):
        for file in Path(ROOT, package).rglob("__init__.py"):
            body = ast.parse(file.read_text()).body
            assert file == ROOT / "leap/__init__.py" or len(body) <= 1, file

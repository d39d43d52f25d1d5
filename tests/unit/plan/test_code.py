"""Fingerprints of code: what changes them, what does not, and what a closure holds."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from leap_suite.plan import code
from tests.conftest import ROOT

TEXTS = {
    "leap/a.py": "from leap import b\n\ndef f(x):\n    return b.g(x)\n",
    "leap/b.py": "LIMIT = 3\n\ndef g(x):\n    return x + LIMIT\n\ndef unused(x):\n    return x\n",
    "leap/checks.py": "def refuse(x):\n    raise ValueError(x)\n",
    "leap/d.py": "from leap.b import g as add\n\ndef h(x):\n    return add(x)\n",
}
F, H = "leap.a:f", "leap.d:h"


def forget() -> None:
    for cached in (code._file, code._read, code._fingerprint, code._references, code._hash,
                   code._write, code._proven):  # fmt: skip
        cached.cache_clear()


@pytest.fixture
def edited(tmp_path, monkeypatch):
    """A small repository; `edited(root, file=text)` has the fingerprint of a root after edits."""
    (tmp_path / "leap").mkdir()
    for name, text in TEXTS.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setitem(code.PACKAGES, "leap", tmp_path / "leap")

    def edit(root: str = F, **files: str) -> str:
        for name, text in files.items():
            (tmp_path / f"leap/{name}.py").write_text(text)
        forget()
        return code.fingerprint(root)

    yield edit
    forget()


B = TEXTS["leap/b.py"]


def before_return(statement: str) -> str:
    return B.replace("    return x + L", f"    {statement}\n    return x + L")


@pytest.mark.parametrize(
    "text",
    [
        B.replace("x + LIMIT", "(x\n    + LIMIT)  # why"),
        '"""What it is."""\n' + B.replace("    return x +", '    """Adds."""\n    return x +'),
        B.replace("(x):", "(x: int) -> int:"),
        before_return("assert x\n    print(x)"),
        "from leap.checks import refuse\n" + before_return("refuse(x)"),
        B.replace("return x\n", "return x + 7\n"),  # of a function that is not reached
        "LIMIT = 3\n\ndef unused(x):\n    return x\n\ndef g(x):\n    return x + LIMIT\n",
    ],
)  # fmt: skip
def test_what_computes_nothing_changes_nothing(edited, text):
    assert edited() == edited(b=text)


@pytest.mark.parametrize(
    "text",
    [
        B.replace("+", "-"),
        B.replace("3", "3.0"),
        B.replace("(x)", "(x=1)"),
        before_return("x = abs(x)"),
        before_return("x.add_(1)"),
        before_return("if x < 0:\n        return 0"),
        before_return("if x < 0:\n        raise ValueError"),  # which a caller may catch
        B + "\ng.cache_clear()\n",  # a statement that comes with every definition
    ],
)
def test_what_computes_changes_the_fingerprint_of_all_that_reach_it(edited, text):
    before = edited(F), edited(H)
    assert before[0] != edited(F, b=text) and before[1] != edited(H)


def test_a_definition_may_move_and_a_message_be_reworded(edited):
    raising = "\n\ndef g(x):\n    try:\n        return x + LIMIT\n    except TypeError as error:\n"
    before = edited(b=f"LIMIT = 3{raising}        raise ValueError('no') from error\n")
    moved = edited(
        a="from leap.c import g as add\n\ndef f(x):\n    return add(x)\n",
        b="LIMIT = 3\n",
        c=f"from leap.b import LIMIT{raising}        raise ValueError(f'not {{x}}') from error\n",
    )
    assert moved == before


def test_two_definitions_of_one_name_are_told_apart(edited):
    use = "from leap import b, c\n\ndef f(x):\n    return {}.g(x) - {}.g(2 * x)\n"
    other = B.replace("+", "*")
    assert edited(a=use.format("b", "c"), c=other) != edited(a=use.format("c", "b"), c=other)
    before = edited(a=use.format("b", "c"), b=B, c=other)
    assert before != edited(b=other, c=B)


def test_a_module_as_a_value_stands_for_all_of_it(edited):
    before = edited(a="from leap import b\n\ndef f(run):\n    return run(b)\n")
    assert before != edited(b=B.replace("return x\n", "return x + 7\n"))


def test_imports_inside_functions_count_and_those_for_types_do_not(edited):
    edited(a="def f(x):\n    from leap.b import g\n    return g(x)\n")
    assert code.closure(F) == {F, "leap.b:g", "leap.b:LIMIT"}
    edited(a="from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from leap.b import g\n"
             "def f(x: 'g'):\n    return x\n")  # fmt: skip
    assert code.closure(F) == {F}


@pytest.mark.parametrize(
    ("root", "message"),
    [
        ("leap.nothing:f", r"there is no module leap\.nothing"),
        ("leap.a:nothing", r"leap\.a has no definition nothing"),
        ("leap.d:k", r"leap\.b has no definition nothing: import it from where it is written"),
    ],
)
def test_what_is_not_there_is_named(edited, root, message):
    edited(d=TEXTS["leap/d.py"] + "from leap.b import nothing\n\ndef k():\n    nothing()\n")
    with pytest.raises(ValueError, match=message):
        code.fingerprint(root)


def test_code_that_is_proven_equal_keeps_the_fingerprint_of_the_old(edited, tmp_path, monkeypatch):
    proofs = tmp_path / "equal_code.yaml"
    proofs.write_text("# none yet\n")
    monkeypatch.setattr(code, "PROOFS", proofs)
    others = [B.replace("x + LIMIT", text) for text in ("LIMIT + x", "1.0 * x + LIMIT")]
    first, second, third = edited(), *(edited(b=text) for text in others)
    assert len({first, second, third}) == 3
    # one after the other, or the same code proven equal to two others
    for pairs in (({second: first}, {third: second}), ({third: first}, {third: second})):
        code._proven.cache_clear()
        proofs.write_text(yaml.safe_dump([{"same_bits": pair} for pair in pairs]))
        assert [edited(), *(edited(b=text) for text in others)] == [first] * 3
    assert edited(b="def g(x):\n    return x\n") not in {first, second, third}


def test_data_files_count_by_name_and_content(tmp_path):
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
    ask = (
        "from leap_suite.plan.code import fingerprint; "
        "print(fingerprint('leap_suite.stages.evaluate'))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", ask], cwd=place, capture_output=True, text=True, check=True,
            env={"PYTHONPATH": f"{place}:{place}/workflow", "PYTHONHASHSEED": seed},
        ).stdout
        for place, seed in ((ROOT, "1"), (copy, "2"))
    }  # fmt: skip
    assert len(found) == 1


def called(program: str) -> set[str]:
    """Functions of ours that a program calls when it runs again, by the interpreter's account."""
    trace = (
        "import sys\nseen = set()\n"
        "def note(frame, event, _):\n"
        "    code = frame.f_code\n"
        "    if event == 'call': seen.add((frame.f_globals.get('__name__'), code.co_qualname))\n"
        "import threading; threading.setprofile(note)\n"
        f"{program}\nsys.setprofile(note)\n{program}\nsys.setprofile(None)\n"
        "print(*(f'{module}:{name}' for module, name in seen), sep='\\n')\n"
    )
    lines = subprocess.run(
        [sys.executable, "-c", trace], cwd=ROOT, capture_output=True, text=True, check=True,
        env={"PYTHONPATH": f"{ROOT}:{ROOT}/workflow", "HF_HUB_OFFLINE": "1"},
    ).stdout.splitlines()  # fmt: skip
    own = {line for line in lines if line.split(".")[0] in ("leap", "baselines", "leap_suite")}
    return {line.split(".<")[0] for line in own if "<module>" not in line}


MODEL = """
import torch
from transformers import LlamaConfig, LlamaForCausalLM
config = LlamaConfig(vocab_size=32, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
                     num_attention_heads=2, num_key_value_heads=2)
model, ids = LlamaForCausalLM(config), torch.randint(32, (8, 8))
"""
TRAIN = """
from leap.methods.parameterisation import load
from leap.settings import Settings
from leap.training.masks import learn_masks
settings = Settings(0.5, steps=2, batch=4)
learn_masks(model, ids, settings, parameterisation=load("leap").from_settings({}))
"""
PRUNE = """
from baselines import registry, sequential
method = registry.load("sparsegpt")
settings = registry.make_settings(method, "sparsegpt", {})
sequential.prune_model(model, method, settings, 0.5, ids.split(4))
"""


@pytest.mark.parametrize(
    ("program", "roots"),
    [
        (TRAIN, ["leap_suite.stages.train:train_masks", "leap.methods.leap:from_settings"]),
        (PRUNE, ["leap_suite.stages.prune:prune", "baselines.sparsegpt", "baselines.sequential"]),
    ],
)
def test_a_closure_has_every_function_that_a_job_calls(program, roots):
    """An independent count, by a real training and a real pruning."""
    found = code.closure(*roots)
    run = called(MODEL + program)
    decide = {name for name in run if not code._is_outside(name.split(":")[0], "")}
    missing = {f"{name.split(':')[0]}:{name.split(':')[1].split('.')[0]}" for name in decide}
    missing = {name for name in missing - found if not name.endswith(("__create_fn__", "<lambda>"))}
    # which is called by checkpoints
    assert len(run) > 30 and missing <= {"leap.distributed.parallel:of_first"}


def test_no_stage_reaches_what_decides_no_result():
    """Logs, tracking, planning, downloads and the miniature world are in no stage's closure."""
    for file in sorted(Path(ROOT, "workflow/leap_suite/stages").glob("[a-z]*.py")):
        module = f"leap_suite.stages.{file.stem}"
        if code._is_outside(module, ""):
            continue
        found = {name.split(":")[0] for name in code.closure(module)}
        assert not [name for name in found if code._is_outside(name, module)]
        planning = {name for name in found if name.startswith("leap_suite.plan.")}
        assert planning <= {"leap_suite.plan.cell", "leap_suite.plan.metrics"}, file


def test_a_training_reaches_no_selection_and_a_selection_no_training():
    training = code.closure(
        "leap_suite.stages.train:train_masks", "leap.methods.leap:from_settings"
    )
    selection = code.closure("leap.methods.leap:masks")
    assert "leap.methods.leap.gate:bernoulli_gate" in training
    assert {"leap.selection", "leap.methods.leap.selection"} & {
        n.split(":")[0] for n in training
    } == set()
    assert not [name for name in selection if name.startswith(("leap.training", "leap.model"))]

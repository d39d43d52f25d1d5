"""The commands and the code of docs/prune-a-model.md, on a miniature and a text of its world."""

import re
import shlex

import pytest

from leap_suite.cli.main import main
from leap_suite.sources import texts
from tests.conftest import ROOT, own_model

PAGE = (ROOT / "docs/prune-a-model.md").read_text(encoding="utf-8")
MODEL = "results/laptop/models/smollm2-135m"


@pytest.mark.heavy
def test_the_tutorial_goes_as_it_is_printed(place, tmp_path, monkeypatch, capsys):
    """All of it that needs no hub: what is pruned sees the text, and BOS is said."""
    monkeypatch.chdir(tmp_path)
    own_model(tmp_path / MODEL)
    documents = texts.documents({"file": place / "world/text/train.jsonl"})
    (tmp_path / "mine.txt").write_text("\n\n".join(documents))
    commands = re.findall(r"^    leap-suite (prune .*)$", PAGE, re.M)
    printed = re.findall(r"^(.*) of 106,168,320 weights removed", PAGE, re.M)
    assert len(commands) == 3 and len(printed) == 2
    for command in commands:
        given = [] if "--text" in command else ["--text", "mine.txt"]
        assert main([*shlex.split(command), *given, "--bos", "--debug"]) == 0
    out = capsys.readouterr().out
    assert out.count("41,472 of 82,944 weights removed (50.00%)") == 3
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
    exec(code, {})
    assert capsys.readouterr().out == "41472 of 82944\n"

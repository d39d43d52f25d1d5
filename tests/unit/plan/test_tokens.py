"""Studies of amounts of text: their variants, what each is shown, and what is refused."""

import pytest

from suite.plan import studies, tokens
from suite.plan.cell import Cell
from suite.plan.validation import ConfigError
from tests.unit.recipes import loaded

MODEL = "mini-llama-3.2-1b"
STUDY = {
    "models": [MODEL],
    "sparsity": 0.7,
    "seeds": [0, 3],
    "calibrated": {"methods": ["wanda", "admm"], "sequences": [10, 200]},
    "trained": {"methods": ["leap"], "steps": [30, 400]},
}

PLACE = "studies.text.amounts"


def settings_of(**overrides) -> dict:
    return loaded(studies={"text": {"table": "tokens", "amounts": STUDY}}, **overrides)


def test_tokens_seen_are_those_of_the_corpora_and_of_all_steps():
    # 128 sequences of 64 tokens calibrate, and training has 96
    lengths = {"calibration": {"length": 64}, "training": {"length": 96}}
    found = tokens.points("text", settings_of(corpora=lengths))
    assert {name: point["tokens"] for name, point in found.items()} == {
        "wanda": 128 * 64, "wanda-10-sequences": 960, "wanda-200-sequences": 19200,
        "admm": 128 * 64, "admm-10-sequences": 960, "admm-200-sequences": 19200,
        "leap-30-steps": 30 * 16 * 96, "leap": 400 * 16 * 96,
    }  # fmt: skip
    of_base = {name: (point["method"], point["amount"]) for name, point in found.items()}
    assert of_base["admm"] == ("admm", "as it is")
    assert of_base["leap"] == ("leap", "400 steps")
    assert of_base["leap-30-steps"] == ("leap", "30 steps")
    other = tokens.points("text", settings_of(methods={"leap": {"steps": 300}}))
    assert {"leap-30-steps", "leap-400-steps"} < {*other} and "leap" not in other


def test_more_text_than_there_is_concerns_the_study_alone():
    settings = settings_of(corpora={"training": {"sequences": 100}})
    assert Cell(MODEL, "admm-200-sequences", "0.7") in studies.all_cells(settings)
    message = f"{PLACE}.calibrated.sequences: 200 exceeds corpora.training.sequences, 100"
    with pytest.raises(ConfigError, match=message):
        studies.cells_of("text", settings)


def test_a_method_without_the_setting_that_is_varied_is_refused(monkeypatch):
    settings = settings_of()
    monkeypatch.setattr(tokens, "method_schema", lambda method: {"properties": {}})
    assert [line for line in tokens.problems(settings) if PLACE in line][:2] == [
        f"{PLACE}.calibrated.methods: wanda has no setting 'calibration'",
        f"{PLACE}.calibrated.methods: admm has no setting 'calibration'",
    ]

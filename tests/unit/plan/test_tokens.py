"""Studies of amounts of text: their variants, what each is shown, and what is refused."""

import pytest

from leap_suite.plan import studies, tokens
from leap_suite.plan.cell import Cell
from leap_suite.plan.validation import ConfigError
from tests.unit.recipes import loaded

MODEL = "mini-llama-3.2-1b"
STUDY = {
    "models": [MODEL],
    "sparsities": [0.7],
    "seeds": [0, 3],
    "calibrated": {"methods": ["wanda", "reconstruct"], "sequences": [10, 200]},
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
        # ten epochs
        "reconstruct": 1280 * 64, "reconstruct-10-sequences": 9600,
        "reconstruct-200-sequences": 192000,
        "leap-30-steps": 30 * 16 * 96, "leap": 400 * 16 * 96,
    }  # fmt: skip
    of_base = {name: (point["method"], point["amount"]) for name, point in found.items()}
    assert of_base["reconstruct"] == ("reconstruct", "as it is")
    assert of_base["leap"] == ("leap", "400 steps")
    assert of_base["leap-30-steps"] == ("leap", "30 steps")
    other = tokens.points("text", settings_of(methods={"leap": {"steps": 300}}))
    assert {"leap-30-steps", "leap-400-steps"} < {*other} and "leap" not in other
    assert other["leap-30-steps"]["share"] == 0.1, "of LEAP's own number of steps"


def test_shares_are_of_the_subjects_own_tokens():
    lengths = {"calibration": {"length": 64}, "training": {"length": 96}}
    found = tokens.points("text", settings_of(corpora=lengths))
    assert found["leap"]["share"] == 1 and found["leap-30-steps"]["share"] == 30 / 400
    assert found["reconstruct-200-sequences"]["share"] == 2000 / (400 * 16)
    other = tokens.points("text", settings_of(corpora=lengths, subject="reconstruct"))
    assert other["reconstruct"]["share"] == 1
    assert other["leap"]["share"] == 400 * 16 * 96 / (1280 * 64)


def test_several_sparsities_have_every_amount():
    settings = settings_of()
    settings["studies"]["text"]["amounts"] = {**STUDY, "sparsities": [0.5, 0.7]}
    found = studies.cells_of("text", settings)
    assert {cell.sparsity for cell in found} == {"0.0", "0.5", "0.7"}
    for name in tokens.points("text", settings):
        seeds = [0, 3] if name.startswith("leap") else [0]
        expected = [Cell(MODEL, name, s, seed) for s in ("0.5", "0.7") for seed in seeds]
        assert [cell for cell in found if cell.method == name] == expected


def test_a_sparsity_that_a_method_of_the_study_cannot_have_is_refused():
    calibrated = {"methods": ["wanda-2-4"], "sequences": [10]}
    amounts = {**STUDY, "calibrated": calibrated, "sparsities": [0.5, 0.7]}
    with pytest.raises(ConfigError, match=r"amounts\.sparsities\.1: 0\.7 is impossible"):
        loaded(studies={"text": {"table": "tokens", "amounts": amounts}})


def test_more_text_than_there_is_concerns_the_study_alone():
    amounts = {**STUDY, "calibrated": {"methods": ["wanda"], "sequences": [6401]}}
    settings = loaded(studies={"text": {"table": "tokens", "amounts": amounts}})
    assert Cell(MODEL, "wanda-6401-sequences", "0.7") in studies.all_cells(settings)
    message = f"{PLACE}.calibrated.sequences: 6401 exceeds corpora.training.sequences, 6400"
    with pytest.raises(ConfigError, match=message):
        studies.cells_of("text", settings)


def test_a_method_without_the_setting_that_is_varied_is_refused(monkeypatch):
    settings = settings_of()
    monkeypatch.setattr(tokens, "method_schema", lambda method: {"properties": {}})
    assert [line for line in tokens.problems(settings) if PLACE in line][:2] == [
        f"{PLACE}.calibrated.methods: wanda has no setting 'calibration'",
        f"{PLACE}.calibrated.methods: reconstruct has no setting 'calibration'",
    ]

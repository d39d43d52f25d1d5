"""Studies of amounts of text: their variants, what each is shown, and what is refused."""

import pytest

from suite.plan import config, studies, tokens
from suite.plan.calibration import corpus_of, size_of
from suite.plan.cell import Cell
from suite.plan.validation import ConfigError

BASE = {"scale": "mini", "hub_mirror": ""}
MODEL = "mini-llama-3.2-1b"
STUDY = {
    "models": [MODEL],
    "sparsity": 0.7,
    "seeds": [0, 3],
    "calibrated": {"methods": ["wanda", "admm"], "sequences": [10, 200]},
    "trained": {"methods": ["leap"], "steps": [30, 400]},
}

PLACE = "studies.text.amounts"


def study(amounts: dict) -> dict:
    return {"text": {"table": "tokens", "amounts": amounts}}


def loaded(**overrides):
    return config.load({**BASE, "studies": study(STUDY), **overrides})


def test_every_amount_is_a_variant_that_differs_in_nothing_else():
    methods = loaded()["methods"]
    for sequences in STUDY["calibrated"]["sequences"]:
        text = {"calibration": {"corpus": "training", "sequences": sequences}}
        assert methods[f"admm-{sequences}-sequences"] == {**methods["admm"], **text}
    assert methods["leap-30-steps"] == {**methods["leap"], "steps": 30}


def test_tokens_seen_are_those_of_the_corpora_and_of_all_steps():
    # 128 sequences of 64 tokens calibrate, and training has 96
    lengths = {"calibration": {"length": 64}, "training": {"length": 96}}
    found = tokens.points("text", loaded(corpora=lengths))
    assert {name: point["tokens"] for name, point in found.items()} == {
        "wanda": 128 * 64, "wanda-10-sequences": 960, "wanda-200-sequences": 19200,
        "admm": 128 * 64, "admm-10-sequences": 960, "admm-200-sequences": 19200,
        "leap-30-steps": 30 * 16 * 96, "leap": 400 * 16 * 96,
    }  # fmt: skip
    assert found["admm"] == {"method": "admm", "amount": "as it is", "tokens": 8192}
    assert (found["leap"]["method"], found["leap"]["amount"]) == ("leap", "400 steps")
    assert (found["leap-30-steps"]["method"], found["leap-30-steps"]["amount"]) == (
        "leap", "30 steps",
    )  # fmt: skip


def test_where_its_own_number_of_steps_is_another_the_method_itself_is_no_point():
    settings = loaded(methods={"leap": {"steps": 300}})
    assert {"leap-30-steps", "leap-400-steps"} < set(tokens.points("text", settings))
    assert "leap" not in tokens.points("text", settings)


def test_cells_are_dense_and_all_points_with_seeds_where_they_matter():
    found = [cell.path for cell in studies.cells_of("text", loaded())]
    layer_wise = [f"{m}{s}/0.7" for m in ("wanda", "admm")
                  for s in ("", "-10-sequences", "-200-sequences")]  # fmt: skip
    learned = [f"{m}/0.7{s}" for m in ("leap-30-steps", "leap") for s in ("", "/seed-3")]
    assert sorted(found) == sorted(
        f"{MODEL}/{path}" for path in ["dense/0.0", *layer_wise, *learned]
    )
    assert Cell(MODEL, "leap-30-steps", "0.7", 3) in studies.all_cells(loaded())


def test_a_calibrated_method_reads_what_it_says():
    settings = loaded()
    own, variant = (settings["methods"][n] for n in ("admm", "admm-200-sequences"))
    assert (corpus_of(own), corpus_of(variant)) == ("calibration", "training")
    assert size_of(own, settings["corpora"]) == (128, 128)
    assert size_of(variant, settings["corpora"]) == (200, 128)


def test_more_text_than_there_is_concerns_the_study_alone():
    settings = loaded(corpora={"training": {"sequences": 100}})
    assert Cell(MODEL, "admm-200-sequences", "0.7") in studies.all_cells(settings)
    message = f"{PLACE}.calibrated.sequences: 200 exceeds corpora.training.sequences, 100"
    with pytest.raises(ConfigError, match=message):
        studies.cells_of("text", settings)


def test_a_method_without_the_setting_that_is_varied_is_refused(monkeypatch):
    layer_wise = config.merge(STUDY, {"trained": {"methods": []}})
    settings = {**loaded(), "studies": study(layer_wise)}
    monkeypatch.setattr(tokens, "method_schema", lambda method: {"properties": {}})
    assert list(tokens.problems(settings)) == [
        f"{PLACE}.calibrated.methods: wanda has no setting 'calibration'",
        f"{PLACE}.calibrated.methods: admm has no setting 'calibration'",
    ]

"""Trainings are read as their journals have them."""

import json
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.tables.trainings import read_training, smooth

LOSSES = (4.0, 3.0, 2.5, 2.0)
START = {"event": "start", "tags": {"model": "m", "sparsity": "0.5"}}


def journal(folder, *events):
    path = folder / "leap.jsonl"
    path.write_text("\n".join(map(json.dumps, [START, *events])))
    return path


def step(number, loss):
    return {"event": "metrics", "step": number, "values": {"lm_loss": loss, "density": 0.5}}


def test_a_journal_is_read_without_the_steps_that_were_repeated(tmp_path):
    steps = [step(number, loss) for number, loss in enumerate(LOSSES)]
    other = {"event": "metrics", "step": 9, "values": {"ppl": 8.0}}
    read = read_training(journal(tmp_path, step(1, 9.0), *steps, other), ("lm_loss", "density"))
    assert (read.model, read.sparsity, read.steps) == ("m", "0.5", [0, 1, 2, 3])
    assert read.values == {"lm_loss": list(LOSSES), "density": [0.5] * 4}
    with pytest.raises(ValueError, match="no step of a training"):
        read_training(journal(tmp_path), ("lm_loss",))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=100))
def test_smoothing_is_the_mean_of_the_last_twentieth(values):
    last = max(1, len(values) // 20)
    expected = [statistics.fmean(values[: i + 1][-last:]) for i in range(len(values))]
    assert smooth(values) == pytest.approx(expected, abs=1e-6)

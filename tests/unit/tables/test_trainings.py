"""Trainings are read as their journals have them."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.tables.trainings import read_training, smooth
from tests.unit.report.example_page import LOSSES, journal


def test_a_journal_is_read_without_the_steps_that_were_repeated(tmp_path):
    read = read_training(journal(tmp_path), ("lm_loss", "density"))
    assert (read.model, read.sparsity, read.steps) == ("m<b>", "0.5", [0, 1, 2, 3])
    assert read.values == {"lm_loss": list(LOSSES), "density": [0.5] * 4}


def test_a_journal_without_a_step_is_refused(tmp_path):
    path = journal(tmp_path)
    path.write_text(path.read_text().splitlines()[0])
    with pytest.raises(ValueError, match="no step of a training"):
        read_training(path, ("lm_loss",))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=100))
def test_smoothing_is_the_mean_of_the_last_twentieth(values):
    last = max(1, len(values) // 20)
    expected = [statistics.fmean(values[: i + 1][-last:]) for i in range(len(values))]
    assert smooth(values) == pytest.approx(expected, abs=1e-6)

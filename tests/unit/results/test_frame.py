"""The two frames as files, and views of them."""

import pandas as pd
import pytest

from leap_suite.results import frame
from tests.unit.results.example import TASKS, ran, results

CELLS = [ran("dense", 0.9), ran("wanda"), ran("leap", 0.6, seed=0), ran("leap", 0.62, seed=1)]


def test_frames_come_back_from_their_files_and_say_what_they_were_checked_against(tmp_path):
    found, files = results(CELLS), (tmp_path / "results.parquet", tmp_path / "items.parquet")
    frame.write(found, *files, recipes="mark")
    back = frame.read(*files, recipes="mark")
    pd.testing.assert_frame_equal(back.frame, found.frame)
    pd.testing.assert_frame_equal(back.items, found.items)
    pd.testing.assert_frame_equal(back.cells, found.cells)
    frame.read(*files)
    with pytest.raises(ValueError, match=r"results\.parquet was made for other settings"):
        frame.read(*files, recipes="another")
    assert sorted(tmp_path.iterdir()) == sorted(files), "no temporary file may remain"


@pytest.mark.parametrize("cut", [0, 4, 1000, -20])
def test_a_damaged_file_is_refused_by_name(tmp_path, cut):
    files = (tmp_path / "results.parquet", tmp_path / "items.parquet")
    frame.write(results(CELLS), *files)
    files[1].write_bytes(files[1].read_bytes()[:cut])
    with pytest.raises(ValueError, match=r"items\.parquet is damaged"):
        frame.read(*files)


def test_scores_are_the_items_by_cell():
    found = results(CELLS)
    scores = found.scores_of("m", 0.5, "leap")
    assert scores.shape == (6 * 100, 2) and scores.columns.tolist() == [0, 1]
    assert scores.mean().tolist() == pytest.approx([0.60, 0.62])
    assert scores.loc["piqa", 0].sum() == 60
    uncounted = results(CELLS, {**TASKS, "mmlu": {"averaged": False}})
    assert "mmlu" not in uncounted.scores.index.get_level_values("measure")

"""Items as files."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leap_suite.artifacts.items import from_samples, write_items
from leap_suite.results.frame import read_items

NAMES = st.text('abc_,"\n', min_size=1, max_size=5)
SCORES = st.integers(0, 1) | st.floats(0, 1)
ITEMS = st.dictionaries(
    NAMES,
    st.dictionaries(NAMES, st.dictionaries(st.integers(0, 99), SCORES, min_size=1), min_size=1),
)


@settings(deadline=None)  # files, on a disk that may be busy
@given(ITEMS)
def test_items_come_back(tmp_path_factory, items):
    path = tmp_path_factory.mktemp("items") / "items.csv.gz"
    write_items(items, path)
    rows = read_items(path).itertuples(index=False, name=None)
    assert sorted(rows) == sorted(
        (column, task, item, score)
        for column, tasks in items.items()
        for task, found in tasks.items()
        for item, score in found.items()
    )
    first = path.read_bytes()
    write_items(items, path)
    assert path.read_bytes() == first


def test_samples_of_a_group_are_kept_by_subtask():
    samples = {"a": [{"doc_id": 3, "acc": 1.0}], "b": [{"doc_id": 0, "acc": 0.0}], "c": []}
    assert from_samples(samples, "acc", 0.5) == {"a": {3: 1}, "b": {0: 0}, "c": {}}


def test_only_numbers_whose_mean_the_score_is_are_items():
    samples = {"a": [{"doc_id": n, "f1": n / 4, "pair": (n, 2), "ppl": -n} for n in range(3)]}
    assert from_samples(samples, "f1", 0.25) == {"a": {0: 0, 1: 0.25, 2: 0.5}}
    assert from_samples(samples, "ppl", math.e) == {}
    assert from_samples(samples, "pair", 0.5) == {}
    assert from_samples(samples, "other", 0.5) == {}


@pytest.mark.parametrize("cut", [0, 5, 30])
def test_a_truncated_file_is_refused(tmp_path, cut):
    path = tmp_path / "items.csv.gz"
    write_items({"piqa": {"piqa": {0: 1, 1: 0}}}, path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ValueError, match="is damaged"):
        read_items(path)

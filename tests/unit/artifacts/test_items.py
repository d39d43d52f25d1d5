"""Items as files."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.artifacts.items import from_samples, read_items, write_items

NAMES = st.text('abc_,"\n', min_size=1, max_size=5)
ITEMS = st.dictionaries(
    NAMES,
    st.dictionaries(
        NAMES, st.dictionaries(st.integers(0, 99), st.integers(0, 1), min_size=1), min_size=1
    ),
)


@settings(deadline=None)  # files, on a disk that may be busy
@given(ITEMS)
def test_items_come_back(tmp_path_factory, items):
    path = tmp_path_factory.mktemp("items") / "items.csv.gz"
    write_items(items, path)
    assert read_items(path) == items
    first = path.read_bytes()
    write_items(items, path)
    assert path.read_bytes() == first


def test_samples_of_a_group_are_kept_by_subtask():
    samples = {"a": [{"doc_id": 3, "acc": 1.0}], "b": [{"doc_id": 0, "acc": 0.0}], "c": []}
    assert from_samples(samples, {"group": ["a", "b"]}) == {"group": {"a": {3: 1}, "b": {0: 0}}}


@pytest.mark.parametrize("cut", [0, 5, 30])
def test_a_truncated_file_is_refused(tmp_path, cut):
    path = tmp_path / "items.csv.gz"
    write_items({"piqa": {"piqa": {0: 1, 1: 0}}}, path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ValueError, match="is damaged"):
        read_items(path)

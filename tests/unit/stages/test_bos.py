"""BOS as a tokenizer has it is refused where the dense model clearly reads better the other way."""

from pathlib import Path

import pytest

from leap_suite.sources import texts
from leap_suite.stages import bos, models
from tests.unit.recipes import MODEL  # which begins every text with BOS


@pytest.fixture(scope="module")
def written(place) -> list[str]:
    return [*texts.documents({"file": place / "world/text/held_out.jsonl"})] * 3


def prepared(folder: Path, source: dict, begins: bool) -> Path:
    models.prepare({"source": source, "dtype": "float32", "bos": begins}, folder)
    return folder


def test_a_model_is_read_as_it_was_trained_or_not_at_all(written, tmp_path):
    source = {"miniature": MODEL}
    bos.check(prepared(tmp_path / "with", source, True), written, "")
    without = prepared(tmp_path / "without", source, False)
    refused = r"does not begin .* perplexity is ([\d.]+) with it and ([\d.]+) without, .*: say bos"
    with pytest.raises(ValueError, match=refused) as raised:
        bos.check(without, written, "say bos")
    with_it, without_it = (float(word) for word in str(raised.value).split() if word[:1] in "456")
    assert with_it < without_it

"""Token blocks."""

import numpy as np
import pytest
from transformers import AutoTokenizer

from leap_suite.stages import corpora
from leap_suite.stages.models import CHECKPOINTS

TEXTS = [f"{'the animal is red . ' * n}" for n in (1, 2, 3, 8, 9, 4)]


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(CHECKPOINTS / "tokenizer")


def build(tokenizer, path, bos=False, texts=TEXTS, **settings):
    corpora.build({"seed": 0, **settings}, texts, tokenizer, bos, path)
    blocks, described = corpora.read(path)
    assert blocks.dtype == np.int32
    assert (described["sequences"], described["length"]) == blocks.shape
    return blocks


@pytest.mark.parametrize("bos", [False, True])
@pytest.mark.parametrize("packing", ["windows", "stream", "joined"])
def test_bos_begins_every_sequence_and_no_other_place(tokenizer, tmp_path, packing, bos):
    blocks = build(tokenizer, tmp_path / "c", bos, packing=packing, sequences=2, length=16)
    assert (blocks[:, 0] == tokenizer.bos_token_id).tolist() == [bos, bos]
    assert not (blocks[:, 1:] == tokenizer.bos_token_id).any()


def test_windows_are_pieces_of_distinct_documents(tokenizer, tmp_path):
    blocks = build(tokenizer, tmp_path / "c", packing="windows", sequences=3, length=20)
    whole = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in TEXTS]
    for block in blocks.tolist():
        assert any(block == tokens[i : i + 20] for tokens in whole for i in range(len(tokens) - 19))
    again = build(tokenizer, tmp_path / "d", packing="windows", sequences=3, length=20)
    assert (again == blocks).all()


def test_stream_is_the_documents_with_eos_between(tokenizer, tmp_path):
    blocks = build(tokenizer, tmp_path / "c", packing="stream", sequences=5, length=12)
    documents = tokenizer(TEXTS, add_special_tokens=False)["input_ids"]
    expected = [token for ids in documents for token in [*ids, tokenizer.eos_token_id]]
    assert blocks.flatten().tolist() == expected[:60]


def test_joined_takes_every_full_window(tokenizer, tmp_path):
    blocks = build(tokenizer, tmp_path / "c", True, packing="joined", sequences=0, length=11)
    text = tokenizer("\n\n".join(TEXTS), add_special_tokens=False)["input_ids"]
    assert len(blocks) == len(text) // 10
    assert blocks[:, 1:].flatten().tolist() == text[: 10 * len(blocks)]


def test_the_source_of_a_hub_text_is_recorded_and_nothing_without_one(tokenizer, tmp_path):
    settings = {"packing": "stream", "sequences": 5, "length": 12}
    source = {"hub": "owner/text", "name": "en", "split": "train", "revision": "0" * 40}
    corpora.build(settings, TEXTS, tokenizer, False, tmp_path / "hub", source)
    corpora.build(settings, TEXTS, tokenizer, False, tmp_path / "file", {})
    corpora.build(settings, TEXTS, tokenizer, False, tmp_path / "none")
    blocks, described = corpora.read(tmp_path / "hub")
    assert described.pop("source") == source
    assert set(described) == {"sequences", "length", "sha256"}
    assert "source" not in corpora.read(tmp_path / "file")[1]
    assert (tmp_path / "file").read_bytes() == (tmp_path / "none").read_bytes()
    assert (blocks == corpora.read(tmp_path / "file")[0]).all()


@pytest.mark.parametrize("packing", ["windows", "stream", "joined"])
def test_too_little_text_names_what_to_change(tokenizer, tmp_path, packing):
    with pytest.raises(ValueError, match="lower the corpus' sequences or length"):
        build(tokenizer, tmp_path / "c", packing=packing, sequences=100, length=16)
    assert list(tmp_path.iterdir()) == []

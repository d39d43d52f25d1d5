"""Token blocks of texts, against the suite's own packing, and the bar of a training."""

import pytest
import torch
from transformers import AutoTokenizer

import leap
from leap_suite.plan.config import MINIATURES
from leap_suite.stages import corpora
from tests.unit.leap.tiny import SOFT, llama, tokens

TEXTS = [f"The {word} number {i} is in the house." * (i % 5) for i in range(40) for word in "ab"]


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(MINIATURES / "tokenizer")


@pytest.mark.parametrize("bos", [False, True])
def test_blocks_are_those_of_the_suites_training_corpus(tokenizer, bos):
    blocks_ST = leap.token_blocks(TEXTS, tokenizer, 32, bos)
    prefix = [tokenizer.bos_token_id] * bos
    wanted = {"sequences": len(blocks_ST), "length": 32}
    expected = corpora.stream(
        wanted, TEXTS, corpora.encoder(tokenizer), prefix, tokenizer.eos_token_id
    )
    assert len(blocks_ST) > 10 and torch.equal(blocks_ST, torch.from_numpy(expected).long())
    left = sum(len(ids) + 1 for ids in tokenizer(TEXTS, add_special_tokens=False)["input_ids"])
    assert len(blocks_ST) == left // (32 - bos)


def test_what_fills_no_block_is_refused(tokenizer):
    with pytest.raises(ValueError, match=r"the texts have \d+ tokens, and a block takes 1024"):
        leap.token_blocks(TEXTS[:3], tokenizer, 1024)


def test_a_tokenizer_without_a_needed_token_is_refused(tokenizer):
    other = AutoTokenizer.from_pretrained(MINIATURES / "tokenizer")
    other.eos_token = None
    with pytest.raises(ValueError, match="the tokenizer has no eos_token_id"):
        leap.token_blocks(TEXTS, other, 32)


def test_a_training_shows_a_bar_unless_it_reports(capsys):
    settings = leap.Settings(**{**SOFT, "sparsity": 0.5, "steps": 2})
    leap.learn_masks(llama(), tokens(), settings)
    assert "2/2" in (shown := capsys.readouterr().err) and "lm_loss=" in shown
    leap.learn_masks(llama(), tokens(), settings, report=lambda step, values: None)
    assert capsys.readouterr().err == ""

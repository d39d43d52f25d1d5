"""Shared contexts against lm-eval's own way: every request has the same log-likelihood."""

import logging
from pathlib import Path

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from leap_suite.miniature.tasks import DEFINITIONS
from leap_suite.stages import models
from leap_suite.stages.packed import PackedLM
from leap_suite.stages.packing import batches, pack

CHECKPOINTS = Path(DEFINITIONS).parent / "checkpoints"
# full attention, sliding and full attention in turns, and no list of layer types
FAMILIES = ("mini-qwen-2.5-0.5b", "mini-gemma-3-1b", "mini-llama-3.2-1b")
CONTEXT = 512
SIZES = {
    "vocab_size": 1332, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 2, "max_position_embeddings": 256,
}  # fmt: skip

Tokens = list[int]


@pytest.fixture(scope="module")
def tokenizer():
    return transformers.PreTrainedTokenizerFast.from_pretrained(CHECKPOINTS / "tokenizer")


@pytest.fixture(scope="module", params=FAMILIES)
def family(request):
    return models.load_model(CHECKPOINTS / request.param, "float32", "cpu")


def random_model(config):
    torch.manual_seed(0)
    return transformers.AutoModelForCausalLM.from_config(config).eval()


def both(model, tokenizer, requests: list[tuple[Tokens, Tokens]], batch_tokens: int = 1024):
    """What HFLM and the packed model say of the requests."""
    asked = [(("", ""), context, choice) for context, choice in requests]
    plain = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=4)
    packed = PackedLM(model, tokenizer=tokenizer, batch_tokens=batch_tokens)
    assert packed.head is not None
    return [lm._loglikelihood_tokens(asked, disable_tqdm=True) for lm in (plain, packed)]


def assert_agree(plain, packed) -> None:
    assert [score for score, _ in packed] == pytest.approx(
        [s for s, _ in plain], rel=1e-6, abs=1e-4
    )
    assert [greedy for _, greedy in packed] == [greedy for _, greedy in plain]


token = st.integers(3, 1300)
# few different tokens, so that choices begin alike by chance too
choice = st.lists(st.integers(3, 6), min_size=1, max_size=8)
item = st.tuples(st.lists(token, min_size=1, max_size=30), st.lists(choice, min_size=1, max_size=4))


@settings(max_examples=25, deadline=None)
@given(items=st.lists(item, min_size=1, max_size=6), batch_tokens=st.sampled_from([1, 64, 1024]))
def test_any_contexts_and_choices(family, tokenizer, items, batch_tokens):
    requests = [(context, choice) for context, choices in items for choice in choices]
    assert_agree(*both(family, tokenizer, requests, batch_tokens))


@settings(max_examples=10, deadline=None)
@given(
    length=st.integers(CONTEXT - 12, CONTEXT + 12),
    choices=st.lists(st.lists(token, min_size=1, max_size=6), min_size=1, max_size=4),
)
def test_at_the_limit_of_the_context(family, tokenizer, length, choices):
    """Longer ones lose their first tokens, as many as each choice takes away."""
    context = [3 + place % 1000 for place in range(length)]
    assert_agree(*both(family, tokenizer, [(context, choice) for choice in choices]))


def test_a_choice_may_be_as_long_as_the_context_and_no_longer(family, tokenizer):
    choice = [3 + place % 7 for place in range(CONTEXT)]
    assert_agree(*both(family, tokenizer, [([5], choice)]))
    with pytest.raises(ValueError, match="a choice of 513 tokens"):
        pack([([5], [*choice, 4])], CONTEXT)


def test_choices_that_are_equal_as_tokens_have_equal_scores(family, tokenizer):
    context, choice, other = [*range(3, 40)], [7, 8, 9], [9, 8]
    requests = [(context, choice), (context, other), (context, choice), ([5], choice)]
    _, packed = both(family, tokenizer, requests)
    assert packed[0] == packed[2] != packed[1]
    assert packed[3] != packed[0]


def test_choices_share_their_context_and_batches_are_full():
    context, other = [*range(10, 30)], [*range(40, 60)]
    requests = [(context, [1, 2]), (context, [1, 3, 4]), (context, [5]), (other, [1, 2])]
    first, second = pack(requests, CONTEXT)
    # the last token of a choice is never an input
    assert first.indices == [0, 1, 2] and first.length == 20 + 1 + 2 + 0
    assert second.indices == [3] and second.length == 21
    rows = pack([([*range(9, 9 + length)], [1]) for length in (5, 40, 7, 90, 6, 41)], CONTEXT)
    found = list(batches(rows, 84))
    assert [[row.length for row in batch] for batch in found] == [[90], [41, 40], [7, 6, 5]]
    assert sorted(row.indices[0] for batch in found for row in batch) == [*range(6)]


@pytest.mark.parametrize("bos", [True, False])
def test_answers_are_those_of_the_plain_way_whatever_the_batch(family, tokenizer, bos):
    """Of questions of many lengths, some longer than what the answer leaves of the context."""
    words = "the river is in the north and the smith has a red lamp , a rope and a horse . ".split()
    ends = ("the river is", "a smith has", "it lives in", "the red", "use", "who", "every fish")
    texts = [" ".join([*words * (2 * n), end]) for n, end in enumerate(ends)]
    texts.append(" ".join([*words * 40, "the horse is"]))
    options = {"until": ["horse", "\n\n"], "max_gen_toks": 24, "do_sample": False}
    requests = [
        Instance("generate_until", {}, (text, dict(options)), number)
        for number, text in enumerate(texts)
    ]
    plain = HFLM(pretrained=family, tokenizer=tokenizer, batch_size=1, add_bos_token=bos)
    wanted = plain.generate_until(requests, disable_tqdm=True)
    assert len(set(wanted)) > 2
    for batch_tokens in (1, 500, 9000):
        packed = PackedLM(family, tokenizer=tokenizer, batch_tokens=batch_tokens, add_bos_token=bos)
        assert packed.generate_until(requests, disable_tqdm=True) == wanted


@pytest.mark.parametrize("bos", [True, False])
def test_whole_texts_have_the_likelihood_of_the_plain_way(family, tokenizer, bos):
    """Shorter than the context, as long and longer, in windows."""
    requests = [
        Instance("loglikelihood_rolling", {}, ("the lamp is in the river . " * n,), n)
        for n in (1, 20, 73, 200)
    ]
    plain = HFLM(pretrained=family, tokenizer=tokenizer, batch_size=1, add_bos_token=bos)
    packed = PackedLM(family, tokenizer=tokenizer, batch_tokens=1200, add_bos_token=bos)
    found, wanted = (
        lm.loglikelihood_rolling(requests, disable_tqdm=True) for lm in (packed, plain)
    )
    assert found == pytest.approx(wanted, rel=1e-6, abs=1e-3)


CONVOLUTION = {"num_key_value_heads": 1, "layer_types": ["conv", "full_attention"]}
UNSUPPORTED = {
    "type conv": transformers.Lfm2Config(**SIZES, **CONVOLUTION),
    "logits in a way of its own": transformers.GraniteConfig(**SIZES, logits_scaling=8.0),
    "have a sliding window": transformers.MistralConfig(
        **SIZES, num_key_value_heads=1, sliding_window=8
    ),
}


@pytest.mark.parametrize("reason", UNSUPPORTED)
def test_other_models_are_evaluated_the_plain_way_and_it_is_said(
    reason, tokenizer, caplog, monkeypatch
):
    monkeypatch.setattr(logging.getLogger("leap_suite"), "propagate", True)
    model = random_model(UNSUPPORTED[reason])
    with caplog.at_level(logging.WARNING, logger="leap_suite"):
        packed = PackedLM(model, tokenizer=tokenizer, batch_tokens=256)
    assert packed.head is None
    assert reason in caplog.text and type(model).__name__ in caplog.text
    plain = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=8)
    asked = [(("", ""), [5, 6, 7], [8, 9]), (("", ""), [5, 6, 7], [9])]
    found = packed._loglikelihood_tokens(asked, disable_tqdm=True)
    wanted = plain._loglikelihood_tokens(asked, disable_tqdm=True)
    assert [score for score, _ in found] == pytest.approx([s for s, _ in wanted], abs=1e-5)
    texts = [Instance("loglikelihood_rolling", {}, ("the lamp . " * n,), n) for n in (3, 90, 5)]
    found, wanted = (lm.loglikelihood_rolling(texts, disable_tqdm=True) for lm in (packed, plain))
    assert found == pytest.approx(wanted, rel=1e-5)
    assert packed.batch_size < 3, "texts that are too long together are computed apart"


@pytest.mark.parametrize(
    "config",
    [
        transformers.GPT2Config(vocab_size=1332, n_embd=32, n_layer=2, n_head=2),
        transformers.Gemma2Config(**SIZES, num_key_value_heads=1, head_dim=16, sliding_window=8,
                                  final_logit_softcapping=3.0),
        transformers.Qwen3Config(**SIZES, num_key_value_heads=1, head_dim=16),
    ],
)  # fmt: skip
def test_soft_capped_logits_and_learned_positions(config, tokenizer):
    model = random_model(config)
    contexts = [[*range(5, 25)], [*range(30, 60)]]
    requests = [(context, [8, 9, end]) for context in contexts for end in (5, 6, 7)]
    assert_agree(*both(model, tokenizer, requests))


class Narrow(transformers.Gemma3TextModel):
    """Attends to one token fewer than the sliding window of its configuration."""

    def forward(self, *arguments, attention_mask=None, **options):
        described = self.config.sliding_window
        if not isinstance(attention_mask, dict):
            self.config.sliding_window = described - 1
        try:
            return super().forward(*arguments, attention_mask=attention_mask, **options)
        finally:
            self.config.sliding_window = described


@pytest.mark.parametrize("window", [16, 128])
def test_the_probe_reaches_the_sliding_window(window, tokenizer, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("leap_suite"), "propagate", True)
    config = transformers.Gemma3TextConfig(
        **SIZES, num_key_value_heads=1, head_dim=16, sliding_window=window
    )
    assert set(config.layer_types) == {"sliding_attention"}
    model = random_model(config)
    assert PackedLM(model, tokenizer=tokenizer, batch_tokens=256).head is not None
    model.model.__class__ = Narrow
    with caplog.at_level(logging.WARNING, logger="leap_suite"):
        assert PackedLM(model, tokenizer=tokenizer, batch_tokens=256).head is None
    assert "attention that its mask does not describe" in caplog.text

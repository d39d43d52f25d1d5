"""Packed evaluation, several times faster on multiple choice: shared prefixes are computed once.

Requests with a common prefix, such as the choices of an item, form one row of a batch: the common
tokens, followed by the rest of each request, a branch. Positions and attention masks let each
branch see the common tokens and itself, as if it were alone.
Axes: R rows, T tokens of a row, N scored positions, H hidden features.
"""

import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import has_bos_prefix, normalize_gen_kwargs
from torch import Tensor
from tqdm import tqdm

from leap.model.head import Head, is_close
from leap_suite.stages.packing import Row, batches, pack

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance
    from transformers import PreTrainedModel

Request = tuple[tuple[str, str], list[int], list[int]]
Tokens = tuple[int, ...]

_LAYER_TYPES = {"full_attention", "sliding_attention"}

_PROBE_LENGTH = 8
_TOLERANCE = 1e-4  # in float32, relative to the norm

logger = logging.getLogger("leap_suite")


class PackedLM(HFLM):
    """HFLM that computes common prefixes once, and logits for scored positions only.

    `batch_tokens` bounds the tokens of a forward pass, except for a single longer row. Models with
    an unsupported attention or head are evaluated by plain HFLM, with a warning in the log.
    """

    def __init__(self, pretrained: "PreTrainedModel", *, batch_tokens: int, **options: Any) -> None:
        super().__init__(pretrained=pretrained, batch_size=1, **options)
        self.batch_tokens = batch_tokens
        self._encoded: dict[str, list[int]] = {}
        try:
            _check_attention(pretrained)
            self.head: Head | None = Head(pretrained)
        except (AttributeError, RuntimeError, TypeError, ValueError) as error:
            logger.warning("evaluated without shared contexts: %s", error)
            self.head = None

    def loglikelihood(
        self, requests: list["Instance"], disable_tqdm: bool = False
    ) -> list[tuple[float, bool]]:
        """Log-likelihoods as in HFLM, but each context is tokenised once for all its choices."""
        self._encoded = self._encode(text for request in requests for text in _texts(*request.args))
        return super().loglikelihood(requests, disable_tqdm)

    def loglikelihood_rolling(
        self, requests: list["Instance"], disable_tqdm: bool = False
    ) -> list[float]:
        """Log-likelihoods of texts as in HFLM, but batches are formed over all windows."""
        self.batch_size_per_gpu = sys.maxsize
        return super().loglikelihood_rolling(requests, disable_tqdm)

    def generate_until(self, requests: list["Instance"], disable_tqdm: bool = False) -> list[str]:
        """Generation as in HFLM, in batches of at most `batch_tokens` tokens.

        Raises ValueError where an answer would leave no room for a question.
        """
        texts = [request.args[0] for request in requests]
        self._encoded = self._encode(texts)
        new, longest = 0, max(len(self.tok_encode(text)) for text in texts)
        for request in requests:
            options = normalize_gen_kwargs(request.args[1], self.max_gen_toks)
            new = max(new, options["max_gen_toks"])
            if new >= self.max_length:
                raise ValueError(
                    f"evaluation.tasks: answers of {request.task_name} have up to {new} tokens, "
                    f"which fill the model's context of {self.max_length}: leave the task out"
                )
        self.batch_size_per_gpu = max(1, self.batch_tokens // min(longest + new, self.max_length))
        return super().generate_until(requests, disable_tqdm)

    def _encode(self, texts: Iterable[str]) -> dict[str, list[int]]:
        """Token ids of these texts in one call, without texts that begin with BOS."""
        bos = self.tokenizer.decode(self.prefix_token_id)
        distinct = [text for text in dict.fromkeys(texts) if not has_bos_prefix(text, bos)]
        if not distinct:
            return {}
        options = {} if self.add_bos_token is None else {"add_special_tokens": self.add_bos_token}
        encodings = self.tokenizer(distinct, return_attention_mask=False, **options)["input_ids"]
        return dict(zip(distinct, encodings, strict=True))

    def tok_encode(self, string: str, *arguments: Any, **options: Any) -> list[int]:
        known = None if arguments or options else self._encoded.get(string)
        return super().tok_encode(string, *arguments, **options) if known is None else known

    def _loglikelihood_tokens(
        self, requests: list[Request], disable_tqdm: bool = False, override_bs: int | None = None
    ) -> list[tuple[float, bool]]:
        if self.head is None:
            longest = max(len(context) + len(choice) for _, context, choice in requests)
            self.batch_size_per_gpu = max(1, self.batch_tokens // longest)
            return super()._loglikelihood_tokens(requests, disable_tqdm)
        asked = [(tuple(context), tuple(choice)) for _, context, choice in requests]
        distinct = list(dict.fromkeys(asked))  # equal tokens get equal scores
        rows = pack([(list(before), list(choice)) for before, choice in distinct], self.max_length)
        found: dict[tuple[Tokens, Tokens], tuple[float, bool]] = {}
        with tqdm(total=len(distinct), disable=disable_tqdm, desc="log-likelihoods") as bar:
            for batch in batches(rows, self.batch_tokens):
                for index, score in self._scores(batch, self.head):
                    found[distinct[index]] = score
                    bar.update()
        for (text, *_), request in zip(requests, asked, strict=True):
            self.cache_hook.add_partial("loglikelihood", text, found[request])
        return [found[request] for request in asked]

    def _scores(self, rows: Sequence[Row], head: Head) -> Iterator[tuple[int, tuple[float, bool]]]:
        """Log-likelihood of each request, and whether greedy decoding gives its tokens."""
        batch = Batch(rows, self.device)
        with torch.inference_mode():
            score_N, likeliest_N = head.score(batch.hidden(self.model), batch.target_N)
        scores, likeliest = score_N.double().tolist(), likeliest_N.tolist()
        begin = 0
        for row in rows:
            for index, targets in zip(row.indices, row.targets, strict=True):
                end = begin + len(targets)
                yield index, (sum(scores[begin:end]), all(likeliest[begin:end]))
                begin = end


def _texts(context: str, choice: str) -> tuple[str, str]:
    """Texts that HFLM encodes for a request: the context without trailing spaces, and the whole."""
    return context.rstrip(), context + choice


class Batch:
    """Rows padded on the right, and the positions of their scores."""

    def __init__(self, rows: Sequence[Row], device: torch.device) -> None:
        layouts = [row.layout() for row in rows]
        length = max(len(tokens) for tokens, *_ in layouts)

        def padded(lists: Sequence[list[int]], fill: int) -> Tensor:
            whole = [values + [fill] * (length - len(values)) for values in lists]
            return torch.tensor(whole, device=device)

        self.id_RT, self.position_RT, self.branch_RT = (
            padded([layout[part] for layout in layouts], fill)
            for part, fill in enumerate((0, 0, -1))
        )
        positions = [place for *_, scored in layouts for place in scored]
        owners = [number for number, (*_, scored) in enumerate(layouts) for _ in scored]
        targets = [token for row in rows for choice in row.targets for token in choice]
        self.scored_N, self.row_N, self.target_N = (
            torch.tensor(values, device=device) for values in (positions, owners, targets)
        )

    def hidden(self, model: "PreTrainedModel") -> Tensor:
        """Last hidden states [N, H] of the model at the scored positions."""
        given: dict[str, Any] = {}
        if (self.branch_RT > 0).any():
            given = {"position_ids": self.position_RT, "attention_mask": self._masks(model)}
        trunk = model.base_model
        hidden_RTH: Tensor = trunk(input_ids=self.id_RT, use_cache=False, **given).last_hidden_state
        return hidden_RTH[self.row_N, self.scored_N]

    def _masks(self, model: "PreTrainedModel") -> Tensor | dict[str, Tensor]:
        """Additive attention masks [R, 1, T, T], by layer type where there are two."""
        branch_RT, position_RT = self.branch_RT, self.position_RT
        of_row_RT = (branch_RT == 0)[:, None, :] | (branch_RT[:, None, :] == branch_RT[:, :, None])
        seen_RTT = of_row_RT.tril()
        if "sliding_attention" not in _layer_types(model):
            return _added(seen_RTT, model.dtype)
        distance_RTT = position_RT[:, :, None] - position_RT[:, None, :]
        near_RTT = seen_RTT & (distance_RTT < model.config.get_text_config().sliding_window)
        masks = {"full_attention": seen_RTT, "sliding_attention": near_RTT}
        return {kind: _added(mask_RTT, model.dtype) for kind, mask_RTT in masks.items()}


def _added(seen_RTT: Tensor, dtype: torch.dtype) -> Tensor:
    """Additive mask: 0 where a token is seen, else the smallest number."""
    mask_RTT = torch.zeros_like(seen_RTT, dtype=dtype)
    return mask_RTT.masked_fill_(~seen_RTT, torch.finfo(dtype).min)[:, None]


def _layer_types(model: "PreTrainedModel") -> set[str]:
    return set(getattr(model.config.get_text_config(), "layer_types", None) or ())


def _check_attention(model: "PreTrainedModel") -> None:
    """Raise ValueError where a branch is computed otherwise than its request alone."""
    name, types = type(model).__name__, _layer_types(model)
    if types - _LAYER_TYPES:
        raise ValueError(f"{name} has layers of type {', '.join(sorted(types - _LAYER_TYPES))}")
    if not types and getattr(model.config.get_text_config(), "sliding_window", None):
        raise ValueError(f"{name} does not say which of its layers have a sliding window")
    requests = _probe(model)
    together, *alone = (
        Batch(pack(asked, context=2 * len(requests[0][0])), model.device)
        for asked in (requests, *([request] for request in requests))
    )
    with torch.inference_mode():
        found = together.hidden(model).split([len(choice) for _, choice in requests])
        for found_NH, batch in zip(found, alone, strict=True):
            if not _is_same(found_NH, batch.hidden(model)):
                raise ValueError(f"{name} has attention that its mask does not describe")


def _probe(model: "PreTrainedModel") -> list[tuple[list[int], list[int]]]:
    """Two choices of a context that is longer than the model's sliding window, if it has one.

    Its first tokens are outside the window of every choice, so that a mask of another window gives
    other hidden states.
    """
    config = model.config.get_text_config()
    sliding = "sliding_attention" in _layer_types(model)
    length = _PROBE_LENGTH + (config.sliding_window if sliding else 0)
    ids = [2 + (7 * place) % (config.vocab_size - 2) for place in range(length)]
    return [(ids, [10, 11, 12, 0]), (ids, [13, 14, 0])]


def _is_same(found_NH: Tensor, wanted_NH: Tensor) -> bool:
    """Whether hidden states are equal up to rounding, which is small in float32.

    One token more or less in a window of 512 changes them by less than the rounding of bfloat16.
    """
    if found_NH.dtype not in (torch.float32, torch.float64):
        return is_close(found_NH, wanted_NH)
    error = torch.linalg.vector_norm(found_NH - wanted_NH)
    return bool(error <= _TOLERANCE * torch.linalg.vector_norm(wanted_NH))

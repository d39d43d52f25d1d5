"""lm-eval's model with shared beginnings: what choices have in common is computed once.

Requests that begin alike, as the choices of an item do, are one row of a batch: the common tokens,
then behind them the rest of each request, a branch. Positions and attention are those of the
requests alone, so that a branch sees the common tokens and itself.
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
from suite.stages.packing import Row, batches, pack

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance
    from transformers import PreTrainedModel

Request = tuple[tuple[str, str], list[int], list[int]]
Tokens = tuple[int, ...]

_LAYER_TYPES = {"full_attention", "sliding_attention"}

_PROBE_LENGTH = 8
_TOLERANCE = 1e-4  # in float32, as a share of the norm

logger = logging.getLogger("suite")


class PackedLM(HFLM):
    """HFLM that computes common beginnings once, and logits for scored positions only.

    `batch_tokens` bounds the tokens of a forward pass (a single longer row is a pass of its own).
    Models whose attention or head is of another kind are evaluated the way of HFLM, and a line in
    the log says so.
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
        """As that of HFLM, which encodes a context again for each of its choices."""
        self._encoded = self._encode(text for request in requests for text in _texts(*request.args))
        return super().loglikelihood(requests, disable_tqdm)

    def loglikelihood_rolling(
        self, requests: list["Instance"], disable_tqdm: bool = False
    ) -> list[float]:
        """As that of HFLM, with all windows together, of which batches are made where they run."""
        self.batch_size_per_gpu = sys.maxsize
        return super().loglikelihood_rolling(requests, disable_tqdm)

    def generate_until(self, requests: list["Instance"], disable_tqdm: bool = False) -> list[str]:
        """As that of HFLM, with as many requests at a time as `batch_tokens` leaves room for.

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
                    f"evaluation.tasks: answers of {request.task_name} have up to {new} tokens, as "
                    f"many as the model's context of {self.max_length} or more: leave it out"
                )
        self.batch_size_per_gpu = max(1, self.batch_tokens // min(longest + new, self.max_length))
        return super().generate_until(requests, disable_tqdm)

    def _encode(self, texts: Iterable[str]) -> dict[str, list[int]]:
        """The tokens of these texts, all together, but of those that begin with BOS themselves."""
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
        # each once: choices that are equal as tokens have equal scores, whatever is rounded
        distinct = list(dict.fromkeys(asked))
        rows = pack(
            [(list(context), list(choice)) for context, choice in distinct], self.max_length
        )
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
        """Sum of log-likelihoods of each request, and whether greedy decoding gives its tokens."""
        batch = Batch(rows, self.device)
        with torch.inference_mode():
            hidden_RTH = batch.hidden(self.model)
            score_N, likeliest_N = head.score(
                hidden_RTH[batch.row_N, batch.place_N], batch.target_N
            )
        scores, likeliest = score_N.double().tolist(), likeliest_N.tolist()
        begin = 0
        for row in rows:
            for index, targets in zip(row.indices, row.targets, strict=True):
                end = begin + len(targets)
                yield index, (sum(scores[begin:end]), all(likeliest[begin:end]))
                begin = end


def _texts(context: str, choice: str) -> tuple[str, str]:
    """What is encoded of a request: its context, to which no trailing spaces belong, and all."""
    return context.rstrip(), context + choice


class Batch:
    """Rows side by side, padded on the right, and where their scores are read."""

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
        places = [place for *_, scored in layouts for place in scored]
        owners = [number for number, (*_, scored) in enumerate(layouts) for _ in scored]
        targets = [token for row in rows for choice in row.targets for token in choice]
        self.place_N, self.row_N, self.target_N = (
            torch.tensor(values, device=device) for values in (places, owners, targets)
        )

    def hidden(self, model: "PreTrainedModel") -> Tensor:
        """What the model's trunk makes of the rows, [R, T, H]."""
        given: dict[str, Any] = {}
        if (self.branch_RT > 0).any():
            given = {"position_ids": self.position_RT, "attention_mask": self._masks(model)}
        trunk = model.base_model
        hidden_RTH: Tensor = trunk(input_ids=self.id_RT, use_cache=False, **given).last_hidden_state
        return hidden_RTH

    def _masks(self, model: "PreTrainedModel") -> Tensor | dict[str, Tensor]:
        """What is added to attention scores, [R, 1, T, T], by type of layer where there are two."""
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
    """0 where a token is seen, else the smallest number."""
    nothing_RTT = torch.zeros(seen_RTT.shape, dtype=dtype, device=seen_RTT.device)
    return nothing_RTT.masked_fill_(~seen_RTT, torch.finfo(dtype).min)[:, None]


def _layer_types(model: "PreTrainedModel") -> set[str]:
    return set(getattr(model.config.get_text_config(), "layer_types", None) or ())


def _check_attention(model: "PreTrainedModel") -> None:
    """Raise ValueError where a branch is not computed as its request alone is."""
    name, types = type(model).__name__, _layer_types(model)
    if types - _LAYER_TYPES:
        raise ValueError(f"{name} has layers of type {', '.join(sorted(types - _LAYER_TYPES))}")
    if not types and getattr(model.config.get_text_config(), "sliding_window", None):
        raise ValueError(f"{name} does not say which of its layers have a sliding window")
    beginning, ends = _probe(model)
    requests = [(beginning, end) for end in ends]
    (row,) = pack(requests, context=2 * len(beginning))
    with torch.inference_mode():
        packed = Batch([row], model.device)
        hidden_TH = packed.hidden(model)[0]
        places = packed.place_N.split([len(end) for end in ends])
        for request, place_N in zip(requests, places, strict=True):
            (alone,) = pack([request], context=2 * len(beginning))
            wanted_TH = Batch([alone], model.device).hidden(model)[0][-len(place_N) :]
            if not _is_same(hidden_TH[place_N], wanted_TH):
                raise ValueError(f"{name} has attention that its mask does not describe")


def _probe(model: "PreTrainedModel") -> tuple[list[int], list[list[int]]]:
    """A context and two choices, the context longer than the model's sliding window, if it has one.

    Its first tokens lie outside the window of every choice, so that a mask of another window
    gives other hidden states.
    """
    config = model.config.get_text_config()
    sliding = "sliding_attention" in _layer_types(model)
    length = _PROBE_LENGTH + (config.sliding_window if sliding else 0)
    ids = [2 + (7 * place) % (config.vocab_size - 2) for place in range(length)]
    return ids, [[10, 11, 12, 0], [13, 14, 0]]


def _is_same(found_TH: Tensor, wanted_TH: Tensor) -> bool:
    """Whether hidden states are the same but for rounding, which float32 has little of.

    One token of a window of 512 more or less changes them by less than bfloat16 rounds.
    """
    if found_TH.dtype not in (torch.float32, torch.float64):
        return is_close(found_TH, wanted_TH)
    error = torch.linalg.vector_norm(found_TH - wanted_TH)
    return bool(error <= _TOLERANCE * torch.linalg.vector_norm(wanted_TH))

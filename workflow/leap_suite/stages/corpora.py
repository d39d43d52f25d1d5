"""Token blocks for calibration, training and perplexity: int32 [sequences, length].

Every sequence begins with BOS where the model has `bos: true`, which counts in its length. Axes:
S sequences, T tokens.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leap_suite.artifacts.arrays import load_arrays, save_arrays
from leap_suite.artifacts.files import sha256
from leap_suite.artifacts.recorded import check

Tokens = NDArray[np.int32]
Encode = Callable[[Sequence[str]], list[list[int]]]

_BATCH = 256


def build(
    recipe: Mapping[str, Any],
    texts: Iterable[str],
    tokenizer: Any,
    bos: bool,
    output: Path,
    source: Mapping[str, str] | None = None,
) -> None:
    """Tokenise `texts` by the corpus' recipe and write one safetensors file.

    `packing` is one of
    `windows`: a random window of each long enough document, in shuffled order (calibration);
    `stream`: documents separated by EOS, cut into blocks (training);
    `joined`: all documents joined by blank lines, cut into blocks (WikiText perplexity).
    Incomplete blocks are dropped. `source` is recorded for texts of a hub (see
    `leap_suite.sources.texts.source`). Raises ValueError where the text is too short.
    """
    prefix = [tokenizer.bos_token_id] if bos else []
    pack = {"windows": windows, "stream": stream, "joined": joined}[recipe["packing"]]
    blocks_ST = pack(recipe, texts, encoder(tokenizer), prefix, tokenizer.eos_token_id)
    metadata = {"recipe": json.dumps(dict(recipe), sort_keys=True), "bos": json.dumps(bos)}
    if source:
        metadata["source"] = json.dumps(dict(source))
    save_arrays({"input_ids": blocks_ST}, output, metadata)


def encoder(tokenizer: Any) -> Encode:
    """Token ids of texts, without special tokens."""
    return lambda texts: tokenizer(list(texts), add_special_tokens=False, verbose=False)[
        "input_ids"
    ]


def read(
    path: str | Path, recipe: Mapping[str, Any] | None = None, first: int | None = None
) -> tuple[Tokens, dict[str, Any]]:
    """Blocks [S, T] of a corpus file, all or the `first`, and their description for reports.

    The description has the shape, the file's SHA-256, and the `source` of a hub text. Raises
    ValueError for a damaged file, another `recipe`, and too few sequences.
    """
    arrays, metadata = load_arrays(path)
    if recipe is not None:
        check(path, json.loads(metadata["recipe"]), recipe)
    blocks_ST = arrays["input_ids"]
    if first is not None and first > len(blocks_ST):
        raise ValueError(f"{path} has {len(blocks_ST)} sequences, not the first {first}: use fewer")
    blocks_ST = blocks_ST[:first]
    described = dict(zip(("sequences", "length"), blocks_ST.shape, strict=True))
    source = {"source": json.loads(metadata["source"])} if "source" in metadata else {}
    return blocks_ST, {**described, "sha256": sha256(path), **source}


def windows(
    settings: Mapping[str, Any], texts: Iterable[str], encode: Encode, prefix: list[int], eos: int
) -> Tokens:
    """Random window of each long enough document, in an order drawn from `seed`."""
    body = settings["length"] - len(prefix)
    random = np.random.default_rng(settings["seed"])
    long = [tokens for tokens in _encoded(texts, encode) if len(tokens) >= body]
    chosen = random.permutation(len(long))[: settings["sequences"]]
    blocks = []
    for tokens in (long[index] for index in chosen):
        start = int(random.integers(len(tokens) - body + 1))
        blocks.append(prefix + tokens[start : start + body])
    return _enough(np.array(blocks, dtype=np.int32), settings)


def stream(
    settings: Mapping[str, Any], texts: Iterable[str], encode: Encode, prefix: list[int], eos: int
) -> Tokens:
    """Blocks of consecutive documents, each followed by EOS."""
    # filled in place: the paper's training corpus has 8.6 GB of token ids
    blocks_ST = np.empty((settings["sequences"], settings["length"]), dtype=np.int32)
    blocks_ST[:, : len(prefix)] = prefix
    body = settings["length"] - len(prefix)
    filled = 0
    rest: list[int] = []
    for tokens in _encoded(texts, encode):
        rest += [*tokens, eos]
        while len(rest) >= body and filled < len(blocks_ST):
            blocks_ST[filled, len(prefix) :] = rest[:body]
            rest = rest[body:]
            filled += 1
        if filled == len(blocks_ST):
            break
    return _enough(blocks_ST[:filled], settings)


def joined(
    settings: Mapping[str, Any], texts: Iterable[str], encode: Encode, prefix: list[int], eos: int
) -> Tokens:
    """Consecutive windows of all documents joined by blank lines; `sequences` 0 means all."""
    body = settings["length"] - len(prefix)
    (tokens,) = encode(["\n\n".join(texts)])
    starts = range(0, len(tokens) - body + 1, body)[: settings["sequences"] or None]
    blocks = [prefix + tokens[start : start + body] for start in starts]
    return _enough(np.array(blocks, dtype=np.int32), settings)


def _enough(blocks_ST: Tokens, settings: Mapping[str, Any]) -> Tokens:
    wanted = settings["sequences"] or 1
    if len(blocks_ST) < wanted:
        raise ValueError(
            f"the text gives only {len(blocks_ST)} sequences of {settings['length']} tokens, not "
            f"{wanted}: lower the corpus' sequences or length, or raise its documents"
        )
    return blocks_ST


def _encoded(texts: Iterable[str], encode: Encode) -> Iterator[list[int]]:
    remaining = iter(texts)
    while batch := list(islice(remaining, _BATCH)):
        yield from encode(batch)

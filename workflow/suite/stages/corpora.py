"""Token blocks for calibration, training and perplexity: int32 [sequences, length].

Every sequence begins with BOS where the model has `bos: true`; its length includes BOS. Axes:
S sequences, T tokens.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suite.artifacts.arrays import load_arrays, save_arrays
from suite.artifacts.files import sha256
from suite.artifacts.recorded import check

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
    """Tokenise `texts` as the corpus' recipe says and write one safetensors file.

    `packing` is one of
    `windows`: from each long enough document, in shuffled order, a random window (calibration);
    `stream`: documents one after another, separated by EOS, cut into blocks (training);
    `joined`: all documents joined by blank lines, cut into blocks (WikiText perplexity).
    What does not fill a block is dropped. `source` says where the texts come from, if that is a
    hub (see `suite.sources.texts.source`). Raises ValueError where the text is too short.
    """
    prefix = [tokenizer.bos_token_id] if bos else []

    def encode(batch: Sequence[str]) -> list[list[int]]:
        return tokenizer(list(batch), add_special_tokens=False, verbose=False)["input_ids"]

    pack = {"windows": windows, "stream": stream, "joined": joined}[recipe["packing"]]
    blocks_ST = pack(recipe, texts, encode, prefix, tokenizer.eos_token_id)
    metadata = {"recipe": json.dumps(dict(recipe), sort_keys=True), "bos": json.dumps(bos)}
    if source:
        metadata["source"] = json.dumps(dict(source))
    save_arrays({"input_ids": blocks_ST}, output, metadata)


def read(
    path: str | Path, recipe: Mapping[str, Any] | None = None, first: int | None = None
) -> tuple[Tokens, dict[str, Any]]:
    """The blocks [S, T] of a corpus file, or the `first` so many, and what to record of them.

    That is their shape, the file's SHA-256, and the `source` of a hub text. Raises ValueError for a
    damaged file, for one of another `recipe`, and for one of too few sequences.
    """
    arrays, metadata = load_arrays(path)
    if recipe is not None:
        check(path, json.loads(metadata["recipe"]), recipe)
    blocks_ST = arrays["input_ids"]
    if first is not None and first > len(blocks_ST):
        raise ValueError(f"{path} has {len(blocks_ST)} sequences, not the first {first}: ask less")
    blocks_ST = blocks_ST[:first]
    sequences, length = blocks_ST.shape
    described = {"sequences": sequences, "length": length, "sha256": sha256(path)}
    source = {"source": json.loads(metadata["source"])} if "source" in metadata else {}
    return blocks_ST, {**described, **source}


def windows(
    settings: Mapping[str, Any], texts: Iterable[str], encode: Encode, prefix: list[int], eos: int
) -> Tokens:
    """A random window of each long enough document, in an order drawn from `seed`."""
    body = settings["length"] - len(prefix)
    random = np.random.default_rng(settings["seed"])
    long = [tokens for tokens in _encoded(texts, encode) if len(tokens) >= body]
    chosen = random.permutation(len(long))[: settings["sequences"]]
    starts = [int(random.integers(len(long[i]) - body + 1)) for i in chosen]
    blocks = [
        prefix + long[i][start : start + body] for i, start in zip(chosen, starts, strict=True)
    ]
    return _enough(np.array(blocks, dtype=np.int32), settings)


def stream(
    settings: Mapping[str, Any], texts: Iterable[str], encode: Encode, prefix: list[int], eos: int
) -> Tokens:
    """Blocks cut from the documents one after another, EOS after each."""
    # filled in place: the paper's training corpus is 8.6 GB of token ids
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
    """Non-overlapping windows of all documents joined by blank lines; `sequences` 0 means all."""
    body = settings["length"] - len(prefix)
    (tokens,) = encode(["\n\n".join(texts)])
    starts = range(0, len(tokens) - body + 1, body)
    if settings["sequences"]:
        starts = starts[: settings["sequences"]]
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
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == _BATCH:
            yield from encode(batch)
            batch = []
    if batch:
        yield from encode(batch)

"""Check of a dense model's `bos` setting: perplexity with BOS at the beginning, and without."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from leap_suite.jobs.precision import compute_dtype
from leap_suite.jobs.provenance import choose_device
from leap_suite.stages import corpora, models
from leap_suite.stages.perplexity import perplexity

_DOCUMENTS, _WINDOWS, _LENGTH = 400, 16, 128
_CLEARLY = 1.1  # ratio of perplexities; close to 1 for most models


def check(directory: Path, texts: Iterable[str], way_on: str) -> None:
    """Raise ValueError where the dense model's `bos` clearly raises the perplexity of `texts`.

    `directory` has model.json; `way_on` ends the message with the setting to change. The same
    tokens are predicted either way: BOS replaces the token before the first of them.
    """
    described, tokenizer = models.describe(directory), models.load_tokenizer(directory)
    if tokenizer.bos_token_id is None:
        return
    size, encode = {"sequences": 0, "length": _LENGTH}, corpora.encoder(tokenizer)
    windows_ST = corpora.joined(size, islice(texts, _DOCUMENTS), encode, [], 0)[:_WINDOWS]
    device = choose_device()
    dtype = compute_dtype(described["dtype"], device)
    model = models.load_model(models.intact_checkpoint(directory), dtype, device)
    found = {False: perplexity(model, windows_ST, windows_ST.size)["value"]}
    windows_ST[:, 0] = tokenizer.bos_token_id
    found[True] = perplexity(model, windows_ST, windows_ST.size)["value"]
    bos = described["bos"]
    if found[bos] > _CLEARLY * found[not bos]:
        raise ValueError(
            f"the tokenizer {'begins' if bos else 'does not begin'} a text with BOS, but the dense "
            f"model's perplexity is {found[True]:.2f} with it and {found[False]:.2f} without, on "
            f"{len(windows_ST)} windows of {_LENGTH} tokens: {way_on}"
        )

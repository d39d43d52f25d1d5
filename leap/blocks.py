"""Training text as blocks of token ids."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


def token_blocks(texts: Iterable[str], tokenizer: Any, length: int, bos: bool = False) -> Tensor:
    """Token ids [sequences, length] of documents, each followed by EOS, cut where a block is full.

    `tokenizer` is one of transformers. With `bos` each block begins with BOS, which counts in its
    length. An incomplete last block is dropped. Raises ValueError where the tokenizer lacks a token
    that is needed, or the texts do not fill a block.
    """
    needed = ("bos_token_id", "eos_token_id") if bos else ("eos_token_id",)
    if missing := [name for name in needed if getattr(tokenizer, name) is None]:
        raise ValueError(f"the tokenizer has no {' and no '.join(missing)}")
    prefix, body = [tokenizer.bos_token_id] * bos, length - bos
    documents = tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
    ids = [token for document in documents for token in (*document, tokenizer.eos_token_id)]
    starts = range(0, len(ids) - body + 1, body)
    if not starts:
        raise ValueError(f"the texts have {len(ids)} tokens, and a block takes {body}: give more")
    return torch.tensor([[*prefix, *ids[start : start + body]] for start in starts])

"""Training settings of each miniature."""

from dataclasses import dataclass, replace

from leap_suite.miniature.architectures import NAMES


@dataclass(frozen=True)
class Recipe:
    """Settings of a training: AdamW on packed sequences, linear warm-up, cosine decay to 0.

    The text is read in order, repeatedly if `steps` need more. It begins with `first_documents`
    about the `first_share` of all entities: while every name is rare, a model this small stays on
    a plateau; few frequent names teach it retrieval, and `documents` about all entities the facts.
    """

    seed: int
    first_share: float
    first_documents: int
    documents: int
    steps: int
    batch: int
    length: int
    learning_rate: float
    warmup_steps: int
    weight_decay: float


_RECIPE = Recipe(
    seed=0,
    first_share=0.06,
    first_documents=60_000,
    documents=200_000,
    steps=4500,
    batch=16,
    length=128,
    learning_rate=6e-3,
    warmup_steps=30,
    weight_decay=0.01,
)

# With the common recipe the two largest models learn to read notes only in part.
_LONGER = replace(_RECIPE, seed=1, first_documents=80_000, steps=5000)

RECIPES = dict.fromkeys(NAMES, _RECIPE) | {
    "mini-llama-3.2-3b": _LONGER,
    "mini-llama-3.1-8b": _LONGER,
}

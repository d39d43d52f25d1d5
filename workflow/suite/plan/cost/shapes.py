"""The sizes of the paper's models, from their public config.

"A weight" is a prunable one: an entry of an `nn.Linear` in a decoder block.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Sizes:
    """The numbers of any model that decide the memory and time of a training.

    prunable, other: weights with and without a logit. block: prunable ones of the largest decoder
    block. largest: those of the largest matrix. block_norms to windowed: as in `Shape`.
    """

    prunable: int
    other: int
    block: int
    largest: int
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    block_norms: int = 2
    head_norms: bool = False
    window: int = 0
    windowed: int = 0


@dataclass(frozen=True)
class Shape:
    """The numbers in a model's public config that decide its size.

    `tied` says that the head shares the embedding's weight; `qkv_bias` that q, k, v have biases;
    `block_norms` is the number of norms as wide as the hidden state in a block; `head_norms` says
    that queries and keys are normalised by a weight as wide as a head; in `windowed` of the layers
    attention reaches `window` tokens back.
    """

    hidden: int
    layers: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool
    qkv_bias: bool = False
    block_norms: int = 2
    head_norms: bool = False
    window: int = 0
    windowed: int = 0

    @property
    def sizes(self) -> Sizes:
        """What decides the memory and time of a training."""
        return Sizes(**{field.name: getattr(self, field.name) for field in fields(Sizes)})

    @property
    def largest(self) -> int:
        """Weights in the largest prunable matrix."""
        return self.hidden * max(self.intermediate, self.heads * self.head_dim)

    @property
    def block(self) -> int:
        """Prunable weights in a decoder block: q, o, k, v, and gate, up, down."""
        attention = 2 * (self.heads + self.kv_heads) * self.head_dim * self.hidden
        return attention + 3 * self.hidden * self.intermediate

    @property
    def prunable(self) -> int:
        """Weights that have a logit."""
        return self.layers * self.block

    @property
    def other(self) -> int:
        """All other weights: embedding, head if it is not tied, norms and biases."""
        embeddings = (1 if self.tied else 2) * self.vocabulary * self.hidden
        bias = (self.heads + 2 * self.kv_heads) * self.head_dim if self.qkv_bias else 0
        head_norms = 2 * self.head_dim if self.head_norms else 0
        a_block = self.block_norms * self.hidden + head_norms + bias
        return embeddings + self.layers * a_block + self.hidden


_GEMMA: Mapping[str, Any] = {"block_norms": 4, "head_norms": True, "window": 512, "windowed": 22}

# By the names of the scales; from the models' config.json on the Hugging Face hub.
MODELS: Mapping[str, Shape] = {
    "qwen-2.5-0.5b": Shape(896, 24, 4864, 14, 2, 64, 151936, tied=True, qkv_bias=True),
    "gemma-3-1b": Shape(1152, 26, 6912, 4, 1, 256, 262144, tied=True, **_GEMMA),
    "llama-3.2-1b": Shape(2048, 16, 8192, 32, 8, 64, 128256, tied=True),
    "llama-3.2-3b": Shape(3072, 28, 8192, 24, 8, 128, 128256, tied=True),
    "llama-3.1-8b": Shape(4096, 32, 14336, 32, 8, 128, 128256, tied=False),
}

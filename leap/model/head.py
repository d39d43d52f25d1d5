"""LM head: logits from hidden states, a chunk of positions at a time.

A whole batch's logits are positions x vocabulary floats at once; here they come in chunks of
positions, in float32 whatever the model's dtype.
Axes: N positions, C positions of a chunk, H hidden features, V vocabulary.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from leap.model.products import exact_products

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_FLOATS_IN_A_CHUNK = 2**26
_PROBE_LENGTH = 4
# hidden states and logits may differ by this share of their norm, for the order of bfloat16's sums
_TOLERANCE = 0.1


class Head:
    """LM head of a causal LM, from hidden states to log-probabilities.

    Raises ValueError where logits of the model are not made by one linear layer (and soft-capping)
    from what its trunk returns.
    """

    def __init__(self, model: "PreTrainedModel") -> None:
        self.trunk = model.base_model
        self.linear = model.get_output_embeddings()
        self.cap = getattr(model.config.get_text_config(), "final_logit_softcapping", None)
        ids = torch.arange(_PROBE_LENGTH, device=model.device)[None] % self.vocabulary
        with torch.inference_mode():
            wanted = model(input_ids=ids, use_cache=False).logits[0].float()
            found = self.logits(self.trunk(input_ids=ids, use_cache=False).last_hidden_state[0])
        if not is_close(found, wanted):
            raise ValueError(f"{type(model).__name__} makes its logits in a way of its own")

    @property
    def vocabulary(self) -> int:
        """Vocabulary size."""
        return int(self.linear.out_features)

    @property
    def chunk(self) -> int:
        """Number of positions per chunk."""
        return max(1, _FLOATS_IN_A_CHUNK // self.vocabulary)

    def logits(self, hidden_NH: Tensor) -> Tensor:
        """Logits [N, V] in float32; products of bfloat16 numbers are summed in float32."""
        bias = None if self.linear.bias is None else self.linear.bias.float()
        with exact_products(self.linear.weight.dtype):
            logits_NV = torch.nn.functional.linear(
                hidden_NH.float(), self.linear.weight.float(), bias
            )
        return logits_NV if self.cap is None else self.cap * torch.tanh(logits_NV / self.cap)

    def score(self, hidden_NH: Tensor, ids_N: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probability [N] of each position's next token, and whether it is the argmax."""
        scores, likeliest = [], []
        chunks = zip(hidden_NH.split(self.chunk), ids_N.split(self.chunk), strict=True)
        for hidden_CH, ids_C in chunks:
            score_C, likeliest_C = score(self.logits(hidden_CH), ids_C)
            scores.append(score_C)
            likeliest.append(likeliest_C)
        return torch.cat(scores), torch.cat(likeliest)


def score(logits_NV: Tensor, ids_N: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probability [N] of each row's token, and whether it is the argmax. Changes the logits."""
    chosen_N = logits_NV.gather(1, ids_N[:, None])[:, 0]
    largest_N, likeliest_N = logits_NV.max(1)
    rest_N = logits_NV.sub_(largest_N[:, None]).exp_().sum(1).log_()
    return chosen_N - largest_N - rest_N, likeliest_N == ids_N


def is_close(found: Tensor, wanted: Tensor) -> bool:
    """Whether two tensors are equal up to rounding."""
    difference = torch.linalg.vector_norm(found.float() - wanted.float())
    return bool(difference <= _TOLERANCE * torch.linalg.vector_norm(wanted.float()))

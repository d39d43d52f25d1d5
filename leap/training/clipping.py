"""Gradient norm and clipping."""

from collections.abc import Iterable

from torch import Tensor, nn

from leap.distributed.parallel import all_reduce


def clip_gradients(
    parameters: Iterable[nn.Parameter], longest: float, split: bool = False
) -> Tensor:
    """Clip the global gradient norm to `longest` (0: never).

    Returns the Frobenius norm of all gradients together, before, float32, on their device. Where
    gradients are `split` over processes it is that of the whole, the same in each of them.
    """
    parameters = list(parameters)
    norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if split:
        norm = all_reduce(norm.double().square()).sqrt().float()
    if longest:
        nn.utils.clip_grads_with_norm_(parameters, longest, norm)
    return norm

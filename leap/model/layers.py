"""Prunable layers: every nn.Linear inside the decoder blocks."""

from torch import nn


def decoder_blocks(model: nn.Module) -> tuple[str, nn.ModuleList]:
    """Name and list of the decoder blocks in `model`.

    It is the outermost `nn.ModuleList` that holds the most linear weights, so no family has to
    be known by name. Raises ValueError where there is none.
    """
    lists = {name: m for name, m in model.named_modules() if isinstance(m, nn.ModuleList)}
    outermost = {
        name: blocks
        for name, blocks in lists.items()
        if not any(name.startswith(other + ".") for other in lists)
    }
    sizes = {name: linear_weights(blocks) for name, blocks in outermost.items()}
    best = max(sizes, key=lambda name: sizes[name], default="")
    if not sizes.get(best):
        raise ValueError(
            f"{type(model).__name__} has no prunable layers: no list of decoder blocks with "
            "nn.Linear layers was found. Only decoder models built from nn.Linear can be pruned."
        )
    return best, outermost[best]


def prunable_linears(model: nn.Module) -> dict[str, nn.Linear]:
    """Prunable layers by name, in model order: q, k, v, o, gate, up, down, ...

    The embedding, the LM head, norms and biases are never among them. Raises ValueError where
    two layers share one weight, since its sparsity would be counted twice.
    """
    prefix, blocks = decoder_blocks(model)
    linears = {
        f"{prefix}.{name}": module
        for name, module in blocks.named_modules(remove_duplicate=False)
        if isinstance(module, nn.Linear)
    }
    _refuse_shared_weights(model, linears)
    return linears


def block_index(name: str, prefix: str) -> int:
    """Index of the decoder block below `prefix` that a layer belongs to."""
    return int(name.removeprefix(f"{prefix}.").split(".")[0])


def linear_weights(module: nn.Module) -> int:
    """Number of weights in the linear layers of a module."""
    return sum(m.weight.numel() for m in module.modules() if isinstance(m, nn.Linear))


def _refuse_shared_weights(model: nn.Module, linears: dict[str, nn.Linear]) -> None:
    owners: dict[int, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        owner = owners.setdefault(id(parameter), name)
        shared = owner != name and {owner, name} & {f"{linear}.weight" for linear in linears}
        if shared:
            raise ValueError(
                f"{owner} and {name} are one and the same weight. A prunable layer must own its "
                "weight: untie them, or prune another model."
            )

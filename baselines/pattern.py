"""N:M budgets, written "N:M": N of every M consecutive weights of a row survive."""


def group_of(budget: str) -> tuple[int, int] | None:
    """(N, M) of an N:M budget, None for any other."""
    kept, colon, group = budget.partition(":")
    return (int(kept), int(group)) if colon else None


def sparsity_of(budget: str) -> float | None:
    """The only sparsity of an N:M budget, None for any other."""
    group = group_of(budget)
    return 1 - group[0] / group[1] if group else None

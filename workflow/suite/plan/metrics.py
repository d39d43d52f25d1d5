"""Metrics of lm-evaluation-harness by their names."""

DEFAULT = "acc"


def is_share(metric: str) -> bool:
    """Whether it is a share of correct items, between 0 and 1, as accuracies are."""
    return metric == "exact_match" or "acc" in metric.split("_")

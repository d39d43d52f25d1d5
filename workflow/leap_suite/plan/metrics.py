"""Names of metrics in lm-evaluation-harness."""

DEFAULT = "acc"


def is_share(metric: str) -> bool:
    """Whether the metric is a fraction of correct items, as accuracies are."""
    return metric == "exact_match" or "acc" in metric.split("_")

"""How a run looks in MLflow: its name, the metrics it is listed and drawn by, its layers' table.

Journals stay as they are; this is chosen when they are sent, for those of earlier versions too.
"""

from collections.abc import Mapping


def run_name(tags: Mapping[str, str]) -> str:
    """As `llama-3.2-1b leap 0.6 evaluate`, with `seed 1` at the end for a seed other than 0."""
    words = [tags[key] for key in ("model", "method", "sparsity", "stage") if key in tags]
    seed = tags.get("seed", "0")
    return " ".join(words if seed == "0" else [*words, f"seed {seed}"])

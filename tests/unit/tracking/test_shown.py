"""How runs look in MLflow: names."""

import pytest

from suite.tracking.shown import run_name

TAGS = {
    "stage": "evaluate",
    "run": "paper",
    "model": "llama-3.2-1b",
    "method": "leap",
    "sparsity": "0.6",
    "seed": "0",
    "group": "paper/llama-3.2-1b/leap/0.6/0",
}


@pytest.mark.parametrize(
    ("tags", "name"),
    [
        (TAGS, "llama-3.2-1b leap 0.6 evaluate"),
        ({**TAGS, "stage": "train", "seed": "1"}, "llama-3.2-1b leap 0.6 train seed 1"),
        ({"stage": "prune"}, "prune"),
    ],
)
def test_a_runs_name(tags: dict[str, str], name: str) -> None:
    assert run_name(tags) == name

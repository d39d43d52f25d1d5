"""Metadata of a model card for the Hugging Face Hub: licence, base model, data sets, results."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from suite.plan.methods import method_label
from suite.plan.metrics import DEFAULT
from suite.results.frame import any_generated, of_tasks


def front_matter(
    manifest: Mapping[str, Any], licence: str, scores: pd.DataFrame, datasets: Mapping[str, str]
) -> list[str]:
    """YAML front matter from a cell's manifest and its rows in the frame of results.

    Accuracies are fractions; `datasets` are those of the tasks by name. Results on generated tasks,
    which are no data sets of the hub, are left out.
    """
    from huggingface_hub import ModelCardData

    pruning = manifest["pruning"]
    sources = [pruning.get(corpus, {}).get("source", {}) for corpus in ("calibration", "training")]
    results = _results(scores, datasets)
    data = ModelCardData(
        license=licence,
        base_model=manifest["model_source"].get("hub", {}).get("id"),
        datasets=sorted({source["hub"] for source in sources if "hub" in source}) or None,
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["pruning", "sparsity", manifest["method"]],
        model_name=title(manifest) if results else None,
        eval_results=results or None,
    )
    return ["---", *data.to_yaml().splitlines(), "---"]


def title(manifest: Mapping[str, Any]) -> str:
    """Title of a cell."""
    method = method_label(manifest["method"])
    return f"{manifest['model']}, {method}, sparsity {manifest['target_sparsity']}"


def _results(scores: pd.DataFrame, datasets: Mapping[str, str]) -> list[Any]:
    from huggingface_hub import EvalResult

    if any_generated(scores):
        return []
    return [
        EvalResult(
            task_type="text-generation",
            dataset_type=datasets[row.measure],
            dataset_name=row.measure,
            dataset_config=row.measure,  # two tasks of one data set are two results
            metric_type=row.metric,
            metric_name=_metric_name(row),
            metric_value=round(row.value / (100 if row.unit == "percent" else 1), 6),
        )
        for row in of_tasks(scores).itertuples()
    ]


def _metric_name(row: Any) -> str:
    shots = f"{row.fewshot}-shot" if row.fewshot else "zero-shot"
    metric = "accuracy" if row.metric == DEFAULT else row.metric
    return f"{shots} {metric}, {row.items} items"

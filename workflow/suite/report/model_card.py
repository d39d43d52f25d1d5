"""What the Hugging Face Hub reads of a model card: licence, base model, data sets and results."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from suite.artifacts.files import read_json
from suite.plan.methods import method_label
from suite.tables.evaluations import TASKS, read_cells


def front_matter(manifest: Mapping[str, Any], licence: str, evaluation: Path) -> list[str]:
    """The card's head in YAML, of a cell's manifest and evaluation.

    Accuracies are fractions. Generated tasks are no data sets of the hub, so that cells that were
    evaluated on them have no results here. Raises ValueError for a damaged evaluation.
    """
    from huggingface_hub import ModelCardData

    pruning = manifest["pruning"]
    sources = [pruning.get(corpus, {}).get("source", {}) for corpus in ("calibration", "training")]
    results = _results(evaluation)
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
    """What a cell is called."""
    method = method_label(manifest["method"])
    return f"{manifest['model']}, {method}, sparsity {manifest['target_sparsity']}"


def _results(evaluation: Path) -> list[Any]:
    from huggingface_hub import EvalResult

    (result,) = read_cells([evaluation])
    if result.generated:
        return []
    asked = read_json(evaluation)["provenance"]["recipe"]["evaluation"]["tasks"]
    return [
        EvalResult(
            task_type="text-generation",
            dataset_type=asked[task]["dataset"],
            dataset_name=task,
            dataset_config=task,  # two tasks of one data set are two results
            metric_type="acc",
            metric_name=f"zero-shot accuracy, {result.protocol[task][2]} items",
            metric_value=round(result.accuracy[task] / 100, 6),
        )
        for task in TASKS
    ]

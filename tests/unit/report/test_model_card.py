"""The head of a card is what the Hub's own library reads, with the numbers of the evaluation."""

import pytest
from huggingface_hub import ModelCard, ModelCardData

from leap_suite.artifacts.files import read_json
from leap_suite.plan.config import scale_settings
from leap_suite.report.examples import tracked
from leap_suite.report.release import front_matter
from tests.conftest import ROOT
from tests.unit.made import collected, made, scored

EXAMPLES = ROOT / "results/examples/claim"
TASKS = scale_settings("claim")["evaluation"]["tasks"]
DATASETS = {name: task["dataset"] for name, task in TASKS.items()}


def card(manifest, scores, datasets=DATASETS, licence="apache-2.0") -> ModelCardData:
    """What the hub's library reads of a card."""
    return ModelCard("\n".join([*front_matter(manifest, licence, scores, datasets), "text"])).data


@pytest.mark.parametrize("method", ["leap", "admm"])
def test_results_on_real_tasks_are_in_the_model_index(method):
    cell = f"smollm2-135m/{method}/0.6"
    manifest = read_json(EXAMPLES / "hardened" / cell / "manifest.json")
    data = card(manifest, tracked("claim", [cell]).frame)
    scores = read_json(EXAMPLES / "evaluations" / f"{cell}.json")["tasks"]
    assert (data.license, data.datasets, data.base_model) == ("apache-2.0", ["allenai/c4"], None)
    assert data.pipeline_tag == "text-generation" and method in data.tags
    found = {result.dataset_name: result for result in data.eval_results}
    assert found.keys() == scores.keys()
    for task, score in scores.items():
        assert found[task].metric_value == pytest.approx(score["acc"], abs=1e-6)
        assert found[task].metric_name == f"zero-shot accuracy, {score['samples']} items"
    assert found["piqa"].dataset_type == "baber/piqa"


def test_other_metrics_have_their_names_and_their_own_unit(tmp_path):
    asked = {"samples": 50, "version": "1"}
    files = made(
        tmp_path, "m", "wanda",
        tasks={
            "mmlu": scored(0.3, acc_norm=0.4, fewshot=5, **asked),
            "gsm8k": {"metric": "exact_match", "exact_match": 0.125, "fewshot": 5, **asked},
            "lambada": {"metric": "perplexity", "perplexity": 31.5, **asked},
        },
    )  # fmt: skip
    results = collected(files, {"lambada": {"averaged": False}})
    manifest = {
        **read_json(files["m/wanda/0.5"].manifest),
        "model_source": {"hub": {"id": "owner/name", "revision": "0" * 40}},
    }
    datasets = {name: f"owner/{name}" for name in ("mmlu", "gsm8k", "lambada")}
    data = card(manifest, results.frame, datasets, "other")
    assert data.base_model == "owner/name"
    assert {
        each.dataset_type: (each.metric_type, each.metric_name, each.metric_value)
        for each in data.eval_results
    } == {
        "owner/mmlu": ("acc", "5-shot accuracy, 50 items", 0.3),
        "owner/gsm8k": ("exact_match", "5-shot exact_match, 50 items", 0.125),
        "owner/lambada": ("perplexity", "zero-shot perplexity, 50 items", 31.5),
    }

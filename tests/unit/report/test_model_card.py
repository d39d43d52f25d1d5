"""The head of a card is what the Hub's own library reads, with the numbers of the evaluation."""

import pytest
from huggingface_hub import ModelCard

from suite.artifacts.files import read_json
from suite.report.model_card import front_matter
from tests.conftest import ROOT

EXAMPLES = ROOT / "results/examples/claim"


@pytest.mark.parametrize("method", ["leap", "admm"])
def test_results_on_real_tasks_are_in_the_model_index(method):
    cell = f"smollm2-135m/{method}/0.6"
    evaluation = EXAMPLES / "evaluations" / f"{cell}.json"
    manifest = read_json(EXAMPLES / "hardened" / cell / "manifest.json")
    card = ModelCard("\n".join([*front_matter(manifest, "apache-2.0", evaluation), "text"]))
    data, scores = card.data, read_json(evaluation)["tasks"]
    assert (data.license, data.datasets, data.base_model) == ("apache-2.0", ["allenai/c4"], None)
    assert data.pipeline_tag == "text-generation" and method in data.tags
    found = {result.dataset_name: result for result in data.eval_results}
    assert found.keys() == scores.keys()
    for task, score in scores.items():
        assert found[task].metric_value == pytest.approx(score["acc"], abs=1e-6)
        assert f" {score['samples']} items" in found[task].metric_name
    assert found["piqa"].dataset_type == "baber/piqa"


def test_a_model_of_the_hub_is_the_base(tmp_path):
    cell = "smollm2-135m/wanda/0.5"
    manifest = dict(read_json(EXAMPLES / "hardened" / cell / "manifest.json"))
    manifest["model_source"] = {"hub": {"id": "owner/name", "revision": "0" * 40}}
    head = front_matter(manifest, "other", EXAMPLES / "evaluations" / f"{cell}.json")
    assert "base_model: owner/name" in head

"""What the report of a training says."""

from suite.artifacts.files import read_json
from suite.plan.config import load
from suite.stages.train import learn


def test_the_report_names_the_implementation_and_not_the_cells_method(place, tmp_path):
    small = {"like": "maskllm", "warm_start": "random", "steps": 1, "batch": 2, "micro_batch": 2}
    settings = load({"scale": "mini", "hub_mirror": "", "methods": {"mine": small}})
    cell = {"scale": "mini", "model": "m", "method": "mine", "sparsity": "0.5", "seed": 0}
    outputs = {key: str(tmp_path / key) for key in ("logits", "report", "journal")}
    learn(
        place / "model", place / "calibration.safetensors", None, None,
        settings["implementations"]["mine"], cell, settings["methods"]["mine"],
        tmp_path / "state", outputs,
    )  # fmt: skip
    report = read_json(outputs["report"])
    assert report["implementation"] == "maskllm"
    assert "method" not in report
    assert set(report["training"]) == {"sequences", "length", "sha256"}

"""What the report of a training says."""

from leap.execution import Execution
from suite.artifacts.files import read_json
from suite.plan.cell import Cell
from suite.stages.train import learn
from tests.unit.recipes import MODEL, recipes


def test_the_report_names_the_implementation_and_not_the_cells_method(place, tmp_path):
    small = {"like": "maskllm", "warm_start": "random", "steps": 1, "batch": 2}
    small["sequences_per_draw"] = 2
    # the training text of the fixture is its calibration text
    calibration = recipes().settings["corpora"]["calibration"]
    training = {key: calibration[key] for key in ("sequences", "length")}
    known = recipes(methods={"mine": small}, corpora={"training": training})
    cell = Cell(MODEL, "mine", "0.5")
    outputs = {key: str(tmp_path / key) for key in ("logits", "report", "journal")}
    learn(
        place / "model", place / "calibration.safetensors", {}, cell, "test", known.masks(cell),
        tmp_path / "state", Execution(micro_batch=1), outputs,
    )  # fmt: skip
    report = read_json(outputs["report"])
    assert report["implementation"] == "maskllm"
    assert "method" not in report
    assert report["execution"] == {
        "micro_batch": 1, "recompute": False, "checkpointing": False, "sharding": False,
    }  # fmt: skip
    assert set(report["training"]) == {"sequences", "length", "sha256"}
    assert report["recipe"] == known.masks(cell)

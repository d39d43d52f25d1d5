"""What the report of a training says."""

import hashlib
from pathlib import Path

from leap.execution import Execution
from suite.artifacts.files import read_json
from suite.plan.cell import Cell
from suite.stages import train_weights
from suite.stages.binarise import binarise
from suite.stages.harden import harden
from suite.stages.prune import prune
from suite.stages.train import learn
from suite.tracking.journal import read_journal
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


def test_learned_weights_are_written_as_a_layer_wise_method_writes_its_own(place, tmp_path):
    calibration = recipes().settings["corpora"]["calibration"]
    training = {key: calibration[key] for key in ("sequences", "length")}
    small = {"like": "elsa", "steps": 3, "batch": 2, "interval": 2}
    known = recipes(methods={"mine": small}, corpora={"training": training})
    cell = Cell(MODEL, "mine", "0.6")
    names = {"weights": "weights.safetensors", "mask": "mask.safetensors"}
    names |= {"report": "pruning.json", "journal": "journal.jsonl"}
    outputs = {key: str(tmp_path / name) for key, name in names.items()}
    train_weights.learn(
        place / "model", place / "calibration.safetensors", cell, "test", known.masks(cell),
        tmp_path / "state", Execution(), outputs,
    )  # fmt: skip
    report = read_json(outputs["report"])
    assert (report["implementation"], report["settings"]["penalty"]) == ("elsa", 0.01)
    assert report["recipe"] == known.masks(cell)
    assert report["cost"]["training_seconds"] > 0
    assert not (tmp_path / "state").exists()
    _, curve = read_journal(Path(outputs["journal"]))
    assert [point.step for point in curve if point.name == "lm_loss"] == [0, 1, 2]
    pruned = {key: outputs[key] for key in ("weights", "mask", "report")}
    harden(place / "model", pruned, cell, "test", known.checkpoint(cell), tmp_path / "hardened")
    manifest = read_json(tmp_path / "hardened/manifest.json")
    assert manifest["kept_weights_changed"] is True
    assert manifest["selection"] == {"rule": "exact", "tolerance": 0}
    assert manifest["survivors"] == round(0.4 * manifest["weights"])
    assert manifest["pruning"]["training"]["sequences"] == training["sequences"]


def test_the_manifest_names_the_calibration_text_behind_the_warm_start(place, tmp_path):
    calibration = recipes().settings["corpora"]["calibration"]
    training = {key: calibration[key] for key in ("sequences", "length")}
    small = {"steps": 1, "batch": 2, "sequences_per_draw": 2}
    known = recipes(methods={"leap": small}, corpora={"training": training})
    start, cell = Cell(MODEL, "wanda", "0.5"), Cell(MODEL, "leap", "0.5")
    folder = tmp_path / "wanda"
    names = {"weights": "weights.safetensors", "mask": "mask.safetensors", "report": "pruning.json"}
    pruned = {key: str(folder / name) for key, name in names.items()}
    text = place / "calibration.safetensors"
    prune(place / "model", text, start, known.masks(start), pruned)
    outputs = {
        key: str(tmp_path / key) for key in ("logits", "report", "journal", "mask", "choice")
    }
    learn(
        place / "model", text, {"warm_start": Path(pruned["mask"])}, cell, "test",
        known.masks(cell), tmp_path / "state", Execution(micro_batch=1), outputs,
    )  # fmt: skip
    logits, report = Path(outputs["logits"]), Path(outputs["report"])
    binarise(logits, report, None, "leap", known.selection(cell), outputs)
    harden(place / "model", outputs, cell, "test", known.checkpoint(cell), tmp_path / "hardened")
    found = read_json(tmp_path / "hardened/manifest.json")["pruning"]["prior_calibration"]
    assert found["sha256"] == hashlib.sha256(text.read_bytes()).hexdigest()
    assert (found["sequences"], found["length"]) == (8, 24)

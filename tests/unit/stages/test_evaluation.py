"""Evaluation through the real lm-evaluation-harness."""

from pathlib import Path

import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file

from leap.budget import survivors
from leap.model.layers import prunable_linears
from suite.artifacts.files import read_json, write_json
from suite.artifacts.tensors import save_tensors
from suite.plan.cell import Cell
from suite.plan.config import load
from suite.results.frame import read_items
from suite.sources import tasks, texts
from suite.stages import corpora, models
from suite.stages import evaluate as evaluation
from suite.stages import harden as harden_stage
from suite.stages import prune as pruning
from suite.stages.binarise import binarise
from tests.unit.recipes import MODEL, limited, recipes
from tests.unit.sources.test_revisions import only

KINDS = ("weights", "mask", "report")


def evaluate(place: Path, cell: Cell, recipe: dict, hardened: Path | None) -> dict:
    output = place / f"{cell.method}.json"
    perplexity = place / "perplexity.safetensors"
    evaluation.evaluate(
        place / "model", hardened, perplexity, perplexity if "in_domain" in recipe else None, cell,
        "test", recipe, place / "world/tasks", output, output.with_suffix(".csv.gz"),
    )  # fmt: skip
    return read_json(output)


def prune(place: Path, cell: Cell, files: dict[str, str]) -> None:
    calibration = place / "calibration.safetensors"
    pruning.prune(place / "model", calibration, cell, recipes().masks(cell), files)


def harden(place: Path, cell: Cell, files: dict[str, str], target: Path, **overrides) -> dict:
    recipe = recipes(**overrides).checkpoint(cell)
    harden_stage.harden(place / "model", files, cell, "test", recipe, target)
    return read_json(target / "manifest.json")


def test_pruning_nothing_gives_exactly_the_dense_scores(place):
    known, nothing = recipes(**limited(30)), Cell.dense(MODEL)
    dense = evaluate(place, nothing, known.evaluation(nothing), None)
    assert dense["provenance"]["datasets"] == {}  # none of a hub
    files = {key: str(place / "pruned" / key) for key in KINDS}
    cell = Cell(MODEL, "wanda", "0.0")
    prune(place, cell, files)
    assert load_file(files["weights"]) == {}, "a method that only removes weights"
    assert harden(place, cell, files, place / "hardened")["achieved_sparsity"] == 0
    pruned = evaluate(place, cell, known.evaluation(cell), place / "hardened")
    assert pruned["tasks"] == dense["tasks"]
    assert pruned["perplexity"] == dense["perplexity"]
    for task in dense["tasks"].values():
        assert task["samples"] == 30
    assert {name: task["chance"] for name, task in dense["tasks"].items()} == {
        "piqa": 0.5, "winogrande": 0.5,
        "arc_easy": 0.25, "arc_challenge": 0.25, "openbookqa": 0.25, "mmlu": 0.25,
    }  # fmt: skip
    items = read_items(place / "wanda.csv.gz")
    assert items.equals(read_items(place / "dense.csv.gz"))
    for name, task in dense["tasks"].items():
        of_task = items[items["measure"] == name]
        assert of_task["item"].tolist() == list(range(30))
        assert of_task["score"].mean() == pytest.approx(task["acc"])
        assert task["acc_stderr"] > 0 or task["acc"] in (0, 1)


def test_a_second_perplexity_stands_beside_the_first(place):
    nothing = Cell.dense(MODEL)
    recipe = recipes(**limited(5)).evaluation(nothing)
    found = evaluate(place, nothing, {**recipe, "in_domain": recipe["perplexity"]}, None)
    assert found["in_domain"] == found["perplexity"]  # of the same text
    recorded = found["provenance"]
    assert recorded["in_domain_corpus"] == recorded["perplexity_corpus"]
    with pytest.raises(ValueError, match="sequences was 8, now 3"):
        other = {**recipe["perplexity"], "sequences": 3}
        evaluate(place, nothing, {**recipe, "in_domain": other}, None)


def test_the_first_sequences_of_the_training_text_calibrate_as_a_corpus_of_them_does(
    place, tmp_path
):
    """The miniatures' calibration corpus is the beginning of the text that they train on."""
    training = {"corpora": {"training": {"length": 24, "sequences": 20}}}
    source = texts.documents({"file": place / "world/text/train.jsonl"})
    path, tokenizer = tmp_path / "training.safetensors", models.load_tokenizer(place / "model")
    corpora.build(recipes(**training).corpus("training"), source, tokenizer, True, path)
    cell = Cell(MODEL, "sparsegpt", "0.5")

    def files(name: str) -> dict[str, str]:
        return {key: str(tmp_path / f"{name}-{key}") for key in KINDS}

    def of_first(sequences: int) -> dict:
        setting = {"corpus": "training", "sequences": sequences}
        overrides = {**training, "methods": {"sparsegpt": {"calibration": setting}}}
        recipe = recipes(**overrides).masks(cell)
        pruning.prune(place / "model", path, cell, recipe, files(str(sequences)))
        return load_file(files(str(sequences))["weights"])

    prune(place, cell, files("corpus"))
    expected = load_file(files("corpus")["weights"])
    assert all(torch.equal(weight, expected[name]) for name, weight in of_first(8).items())
    assert not all(torch.equal(weight, expected[name]) for name, weight in of_first(5).items())
    described = read_json(files("5")["report"])["calibration"]
    assert (described["corpus"], described["sequences"], described["length"]) == ("training", 5, 24)
    with pytest.raises(ValueError, match="has 20 sequences, not the first 21"):
        corpora.read(path, first=21)


def test_what_was_made_by_another_recipe_is_not_used(place, tmp_path):
    """Model, corpus, report and manifest: each is named, with what differs."""
    cell = Cell(MODEL, "wanda", "0.5")
    files = {key: str(tmp_path / key) for key in KINDS}
    calibration = place / "calibration.safetensors"
    longer = {"corpora": {"calibration": {"length": 32}}}
    others = {
        r"model\.json was made .* dtype was 'float32'": {"models": {MODEL: {"dtype": "bfloat16"}}},
        r"calibration\.safetensors was made .* length was 24": longer,
    }
    for message, overrides in others.items():
        recipe = recipes(**overrides).masks(cell)
        with pytest.raises(ValueError, match=message):
            pruning.prune(place / "model", calibration, cell, recipe, files)
    assert not Path(files["mask"]).exists()
    prune(place, cell, files)
    layer = {"methods": {"wanda": {"budget": "layer"}}}
    with pytest.raises(ValueError, match=r"report was made .*budget was 'row', now 'layer'"):
        harden(place, cell, files, tmp_path / "hardened", **layer)
    harden(place, cell, files, tmp_path / "hardened")
    with pytest.raises(ValueError, match=r"manifest\.json was made .* now 'layer'"):
        evaluate(place, cell, recipes(**layer).evaluation(cell), tmp_path / "hardened")


@pytest.mark.parametrize("rule", ["exact", "threshold"])
def test_masks_of_learned_logits_are_selected_by_their_rule(place, tmp_path, rule):
    dense = prunable_linears(models.load_model(place / "model", "float32", "cpu"))
    random = torch.Generator().manual_seed(0)
    logits = {
        name: torch.randn(layer.weight.shape, generator=random) + 0.1
        for name, layer in dense.items()
    }
    positive = sum(int((logits_OI > 0).sum()) for logits_OI in logits.values())
    weights = sum(logits_OI.numel() for logits_OI in logits.values())
    files = {name: str(tmp_path / name) for name in ("mask", "choice", "report")}
    save_tensors(logits, tmp_path / "logits")
    layers = {name: list(logits_OI.shape) for name, logits_OI in logits.items()}
    cell, overrides = Cell(MODEL, "leap", "0.6"), {"methods": {"leap": {"selection": rule}}}
    known = recipes(**overrides)
    report = {"layers": layers, "settings": {"sparsity": 0.6, "seed": 0}}
    write_json(files["report"], {**report, "recipe": known.masks(cell)})
    binarise(tmp_path / "logits", tmp_path / "report", None, "leap", known.selection(cell), files)
    manifest = harden(place, cell, files, tmp_path / "hardened", **overrides)
    kept = survivors(weights, 0.6) if rule == "exact" else positive
    assert manifest["survivors"] == kept
    assert manifest["selection"] == {
        "rule": rule,
        "threshold_density": positive / weights,
        "tolerance": 0 if rule == "exact" else None,
    }
    hard = prunable_linears(models.load_model(tmp_path / "hardened", "float32", "cpu"))
    smallest_kept, largest_removed = float("inf"), -float("inf")
    for name, layer in hard.items():
        alive = layer.weight != 0
        assert torch.equal(layer.weight[alive], dense[name].weight[alive])
        smallest_kept = min(smallest_kept, float(logits[name][alive].min()))
        largest_removed = max(largest_removed, float(logits[name][~alive].max()))
    assert smallest_kept >= largest_removed


def test_tasks_are_those_of_the_mirror_as_it_is_now(tmp_path, monkeypatch):
    """`datasets` takes two folders with one name and one card for the same."""
    card = "---\nconfigs:\n- config_name: default\n  data_files:\n"
    card += "".join(f"  - {{split: {s}, path: {s}.parquet}}\n" for s in ("train", "validation"))
    manager = only("piqa")

    def goals(mirror: Path, goal: str) -> list[str]:
        folder = mirror / "baber/piqa"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "README.md").write_text(card + "---\n")
        for split in ("train", "validation"):
            row = {"goal": goal, "sol1": "a", "sol2": "b", "label": 0}
            Dataset.from_list([row]).to_parquet(folder / f"{split}.parquet")
        monkeypatch.setenv("HUB_MIRROR", str(mirror))
        task = tasks.build(manager, {"task": "piqa", "dataset": "baber/piqa"})
        return task.dataset["validation"]["goal"][:]

    assert goals(tmp_path / "one", "first") == ["first"]
    assert goals(tmp_path / "two", "second") == ["second"]
    assert goals(tmp_path / "two", "third") == ["third"]


@pytest.mark.shared
def test_texts_of_the_mirror_are_the_original_and_skip_rows(mirror, monkeypatch):
    monkeypatch.setenv("HUB_MIRROR", str(mirror))
    settings = [load({"scale": scale, "hub_mirror": ""}) for scale in ("paper", "laptop")]
    rows = list(texts.documents(settings[0]["corpora"]["perplexity"]["text"]))
    assert len(rows) == 4358 and rows[:2] == ["", " = Robert Boulter = \n"]
    setting = settings[1]["corpora"]["validation"]["text"]
    every = list(texts.documents({**setting, "skip": 0, "documents": 0}))
    assert list(texts.documents({**setting, "skip": 3, "documents": 2})) == every[3:5]
    assert list(texts.documents({**setting, "skip": 3, "documents": 0})) == every[3:]

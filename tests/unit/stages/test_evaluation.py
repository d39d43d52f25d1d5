"""Evaluation through the real lm-evaluation-harness."""

from pathlib import Path

import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file

from leap.budget import survivors
from leap_suite.artifacts.files import read_json, write_json
from leap_suite.artifacts.tensors import save_tensors
from leap_suite.plan.cell import Cell
from leap_suite.plan.config import load
from leap_suite.results.frame import read_items
from leap_suite.sources import tasks, texts
from leap_suite.stages import corpora, models
from leap_suite.stages import evaluate as evaluation
from leap_suite.stages.binarise import binarise
from tests.unit.recipes import MODEL, limited, recipes
from tests.unit.sources.test_revisions import only
from tests.unit.stages.made import dense, harden, prune


def evaluate(place: Path, cell: Cell, recipe: dict, hardened: Path | None) -> dict:
    output = place / f"{cell.method}.json"
    perplexity = place / "perplexity.safetensors"
    evaluation.evaluate(
        place / "model", hardened, perplexity, perplexity if "in_domain" in recipe else None, cell,
        "test", recipe, place / "world/tasks", output, output.with_suffix(".csv.gz"),
    )  # fmt: skip
    return read_json(output)


def test_pruning_nothing_gives_exactly_the_dense_scores(place):
    known, nothing = recipes(**limited(30)), Cell.dense(MODEL)
    unpruned = evaluate(place, nothing, known.evaluation(nothing), None)
    assert unpruned["provenance"]["datasets"] == {}  # none of a hub
    cell = Cell(MODEL, "wanda", "0.0")
    files = prune(place, cell, place / "pruned")
    assert load_file(files["weights"]) == {}, "a method that only removes weights"
    _, manifest = harden(place, cell, files, place / "hardened")
    assert manifest["achieved_sparsity"] == 0
    pruned = evaluate(place, cell, known.evaluation(cell), place / "hardened")
    assert pruned["tasks"] == unpruned["tasks"]
    assert pruned["perplexity"] == unpruned["perplexity"]
    for task in unpruned["tasks"].values():
        assert task["samples"] == 30
    assert {name: task["chance"] for name, task in unpruned["tasks"].items()} == {
        "piqa": 0.5, "winogrande": 0.5,
        "arc_easy": 0.25, "arc_challenge": 0.25, "openbookqa": 0.25, "mmlu": 0.25,
    }  # fmt: skip
    items = read_items(place / "wanda.csv.gz")
    assert items.equals(read_items(place / "dense.csv.gz"))
    for name, task in unpruned["tasks"].items():
        of_task = items[items["measure"] == name]
        assert of_task["item"].tolist() == list(range(30))
        assert of_task["score"].mean() == pytest.approx(task["acc"])
        normed = items.loc[items["measure"] == f"{name}_norm", "score"]
        assert len(normed) == (30 if "acc_norm" in task else 0)
        assert not len(normed) or normed.mean() == pytest.approx(task["acc_norm"])
        assert task["acc_stderr"] > 0 or task["acc"] in (0, 1)


def test_the_divergence_from_the_dense_model_is_measured_on_both_texts(place):
    asked = limited(5)["evaluation"]
    known = recipes(evaluation={**asked, "divergence": True})
    nothing, cell = Cell.dense(MODEL), Cell(MODEL, "wanda", "0.5")
    assert "divergence" not in evaluate(place, nothing, known.evaluation(nothing), None)
    files = prune(place, cell, place / "halved")
    harden(place, cell, files, place / "hardened-half")
    recipe = known.evaluation(cell)
    recipe["in_domain"] = recipe["perplexity"]
    found = evaluate(place, cell, recipe, place / "hardened-half")
    assert found["divergence"] == found["in_domain_divergence"] and found["divergence"]["value"] > 0
    assert "divergence" not in recipes(**limited(5)).evaluation(cell)["evaluation"]


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

    def weights(folder: str, known=None, text=None) -> dict:
        return load_file(prune(place, cell, tmp_path / folder, known, None, text)["weights"])

    def of_first(count: int) -> dict:
        setting = {"calibration": {"corpus": "training", "sequences": count}}
        return weights(str(count), recipes(**training, methods={"sparsegpt": setting}), path)

    expected = weights("corpus")
    assert all(torch.equal(weight, expected[name]) for name, weight in of_first(8).items())
    assert not all(torch.equal(weight, expected[name]) for name, weight in of_first(5).items())
    described = read_json(tmp_path / "5/pruning.json")["calibration"]
    assert (described["corpus"], described["sequences"], described["length"]) == ("training", 5, 24)
    with pytest.raises(ValueError, match="has 20 sequences, not the first 21"):
        corpora.read(path, first=21)


def test_what_was_made_by_another_recipe_is_not_used(place, tmp_path):
    """Model, corpus, report and manifest: each is named, with what differs."""
    cell = Cell(MODEL, "wanda", "0.5")
    longer = {"corpora": {"calibration": {"length": 32}}}
    others = {
        r"model\.json was made .* dtype was 'float32'": {"models": {MODEL: {"dtype": "bfloat16"}}},
        r"calibration\.safetensors was made .* length was 24": longer,
    }
    for message, overrides in others.items():
        with pytest.raises(ValueError, match=message):
            prune(place, cell, tmp_path / "none", recipes(**overrides))
    assert not (tmp_path / "none").exists()
    files = prune(place, cell, tmp_path)
    layer = recipes(methods={"wanda": {"budget": "layer"}})
    with pytest.raises(ValueError, match=r"pruning\.json was made .*budget was 'row', now 'layer'"):
        harden(place, cell, files, tmp_path / "hardened", layer)
    harden(place, cell, files, tmp_path / "hardened")
    with pytest.raises(ValueError, match=r"manifest\.json was made .* now 'layer'"):
        evaluate(place, cell, layer.evaluation(cell), tmp_path / "hardened")


@pytest.mark.parametrize("rule", ["exact", "threshold"])
def test_masks_of_learned_logits_are_selected_by_their_rule(place, tmp_path, rule):
    weights_of = dense(place)
    random = torch.Generator().manual_seed(0)
    logits = {n: torch.randn(x.shape, generator=random) + 0.1 for n, x in weights_of.items()}
    positive = sum(int((logits_OI > 0).sum()) for logits_OI in logits.values())
    weights = sum(logits_OI.numel() for logits_OI in logits.values())
    files = {name: str(tmp_path / name) for name in ("mask", "choice", "report")}
    save_tensors(logits, tmp_path / "logits")
    layers = {name: list(logits_OI.shape) for name, logits_OI in logits.items()}
    cell, known = Cell(MODEL, "leap", "0.6"), recipes(methods={"leap": {"selection": rule}})
    report = {"layers": layers, "settings": {"sparsity": 0.6, "seed": 0}}
    write_json(files["report"], {**report, "recipe": known.masks(cell)})
    binarise(tmp_path / "logits", tmp_path / "report", None, "leap", known.selection(cell), files)
    hard, manifest = harden(place, cell, files, tmp_path / "hardened", known)
    kept = survivors(weights, 0.6) if rule == "exact" else positive
    assert manifest["survivors"] == kept
    assert manifest["selection"] == {
        "rule": rule,
        "threshold_density": positive / weights,
        "tolerance": 0 if rule == "exact" else None,
    }
    every = torch.cat([logits_OI.flatten() for logits_OI in logits.values()])
    least = every.sort(descending=True).values[kept - 1]
    for name, weight in hard.items():
        assert torch.equal(weight, weights_of[name] * (logits[name] >= least))


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

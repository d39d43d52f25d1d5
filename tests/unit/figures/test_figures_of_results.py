"""Figures drawn from manifests, masks, journals and evaluations: what is in them."""

import json
import re
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from suite.artifacts.masks import jaccard, save_masks
from suite.figures.agreement import agreement
from suite.figures.cost import cost
from suite.figures.density import density
from suite.figures.gain import gain
from suite.figures.patterns import patterns
from suite.figures.style import add_legend, method_looks, style
from suite.figures.training import training
from suite.tables.evaluations import TASKS

KINDS = ("q", "k", "v", "o", "gate", "up", "down")


def texts(svg: Path) -> list[str]:
    return re.findall(r">([^<>\n]+)</text>", svg.read_text())


def cell(folder: Path, model: str, method: str, sparsity: str, seconds: float = 3.0) -> Path:
    """A hardened cell with two blocks, and its evaluation beside it."""
    place = folder / model / method / sparsity
    place.mkdir(parents=True)
    layers = [f"model.layers.{i}.{kind}_proj" for i in range(2) for kind in KINDS]
    manifest = {
        "model": model, "method": method, "target_sparsity": float(sparsity),
        "layer_sparsity": {name: float(sparsity) for name in layers},
        "pruning": {"cost": {"wall_time_seconds": seconds}},
    }  # fmt: skip
    (place / "manifest.json").write_text(json.dumps(manifest))
    evaluation = {
        "model": model, "method": method, "sparsity": sparsity, "seed": 0,
        "achieved_sparsity": float(sparsity), "perplexity": {"value": 9.0, "stderr": 0.1},
        "tasks": {t: {"task": t, "acc": 0.5, "acc_stderr": 0.01, "samples": 9, "version": "1"}
                  for t in TASKS},
    }  # fmt: skip
    (place / "evaluation.json").write_text(json.dumps(evaluation))
    return place


def test_gain_is_leaps_accuracy_minus_the_others(tmp_path):
    rows = ["m,dense,0.0,90", "m,wanda,0.5,50", "m,admm,0.5,60", "m,leap,0.5,70", "m,leap,0.5,72",
            "m,random-mask,0.5,30", "n,wanda,0.5,50", "n,random-mask,0.5,30"]  # fmt: skip
    (tmp_path / "main.csv").write_text("\n".join(["model,method,sparsity,average", *rows]) + "\n")
    gain(tmp_path / "main.csv", [tmp_path / "gain.svg"], note="")
    found = texts(tmp_path / "gain.svg")
    assert {"m, 0.5", "Wanda", "ADMM"} <= set(found)
    assert "n, 0.5" not in found
    assert "LEAP" not in found
    assert "Random mask" not in found, "controls are no baselines"
    (tmp_path / "main.csv").write_text(
        "model,method,sparsity,average\nm,leap,0.5,70\nm,random-mask,0.5,30\n"
    )
    with pytest.raises(ValueError, match="no cell has both LEAP and a baseline"):
        gain(tmp_path / "main.csv", [tmp_path / "gain.svg"], note="")


def test_density_has_every_kind_of_layer(tmp_path):
    places = [cell(tmp_path, model, "leap", s) for model in ("a", "b") for s in ("0.5", "0.6")]
    density([place / "manifest.json" for place in places], [tmp_path / "density.svg"], note="")
    assert {*KINDS, "a", "b", "at sparsity 0.5", "at sparsity 0.6"} <= set(
        texts(tmp_path / "density.svg")
    )


def journal(path: Path, steps: list[int]) -> Path:
    lines = [{"event": "start", "tags": {"model": "a", "sparsity": "0.5"}}]
    for step in steps:
        values = {
            "lm_loss": 5 / (1 + step),
            "density": 0.5,
            "alpha": 25 + step,
            "tau": 4 / (1 + step),
        }
        lines.append({"event": "metrics", "step": step, "values": values})
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    return path


def test_a_training_that_was_taken_up_again_is_drawn_as_one(tmp_path):
    whole = journal(tmp_path / "whole.jsonl", list(range(9)))
    repeated = journal(tmp_path / "repeated.jsonl", [0, 1, 2, 3, 2, 3, 4, 5, 6, 7, 8])
    training([whole], [tmp_path / "whole.svg"], note="")
    training([repeated], [tmp_path / "repeated.svg"], note="")
    assert (tmp_path / "whole.svg").read_bytes() == (tmp_path / "repeated.svg").read_bytes()
    assert {"a", "sparsity 0.5", "Step"} <= set(texts(tmp_path / "whole.svg"))
    with pytest.raises(ValueError, match="no step of a training"):
        training([journal(tmp_path / "none.jsonl", [])], [tmp_path / "none.svg"], note="")


def test_agreement_is_the_mean_jaccard_index(tmp_path):
    torch.manual_seed(0)
    places, expected = [], []
    for model in ("a", "b"):
        masks = {method: {"x": torch.rand(6, 8) > 0.5} for method in ("wanda", "leap")}
        for method, mask in masks.items():
            places.append(cell(tmp_path, model, method, "0.5"))
            save_masks(mask, places[-1] / "mask.safetensors")
        one, other = (set(mask["x"].flatten().nonzero().flatten().tolist())
                      for mask in masks.values())  # fmt: skip
        expected.append(len(one & other) / len(one | other))
        assert jaccard(*(place / "mask.safetensors" for place in places[-2:])) == expected[-1]
    manifests = [place / "manifest.json" for place in places]
    files = [place / "mask.safetensors" for place in places]
    agreement(manifests, files, [tmp_path / "agreement.svg"], note="")
    found = texts(tmp_path / "agreement.svg")
    assert found.count(f"{sum(expected) / 2:.2f}") == 2
    assert found.count("1.00") == 2
    assert "sparsity 0.5 (by chance 0.33)" in found


def test_masks_of_other_models_are_not_compared(tmp_path):
    save_masks({"x": torch.ones(2, 3).bool()}, tmp_path / "one")
    save_masks({"x": torch.ones(3, 2).bool()}, tmp_path / "other")
    with pytest.raises(ValueError, match="different models"):
        jaccard(tmp_path / "one", tmp_path / "other")


def test_cost_has_every_method_and_sparsity(tmp_path):
    places = [
        cell(tmp_path, model, method, sparsity, seconds)
        for model in ("a", "b")
        for method, seconds in (("wanda", 3.0), ("leap", 80.0))
        for sparsity in ("0.5", "0.6", "0.7")
    ]
    cost(
        [place / "evaluation.json" for place in places],
        [place / "manifest.json" for place in places],
        [tmp_path / "cost.svg"],
        note="",
    )
    assert {"Wanda", "LEAP", "a", "b", "sparsity 0.5", "0.6, 0.7"} <= set(
        texts(tmp_path / "cost.svg")
    )


@pytest.mark.parametrize("width", [1.5, 3.5, 7.0])
def test_a_legend_stays_inside_its_figure(width):
    names = ["SparseGPT", "Thanos", "Magnitude", "ADMM", "sparsity 0.5", "0.6", "LEAP", "Wanda"]
    with style():
        figure = Figure(figsize=(width, 4), layout="constrained")
        figure.subplots()
        add_legend(figure, [Line2D([], [], marker="o", label=name) for name in names])
        figure.draw_without_rendering()
        (legend,) = figure.legends
    extent = legend.get_window_extent()
    assert figure.bbox.x0 <= extent.x0 and extent.x1 <= figure.bbox.x1
    assert [text.get_text() for text in legend.get_texts()] == names


def test_patterns_are_drawn_at_the_density_they_achieved(tmp_path):
    columns = "model,method,pattern,achieved_sparsity,average,average_stderr,ppl"
    rows = ["m,dense,dense,0,90,0,2", "m,wanda-2-4,2:4,0.5,50,1,9", "m,leap,free,0.5,80,1,2.2",
            "m,patch,tiles,0.351,85,1,2.1", "m,patch,tiles,0.452,82,1,2.15"]  # fmt: skip
    (tmp_path / "patterns.csv").write_text("\n".join([columns, *rows]) + "\n")
    patterns(tmp_path / "patterns.csv", [tmp_path / "patterns.svg"], note="")
    found = set(texts(tmp_path / "patterns.svg"))
    assert {"m", "Dense", "Wanda 2:4", "PATCH", "LEAP", "Density: share of weights kept"} <= found


def test_a_variant_under_n_of_m_looks_like_its_method_but_open():
    looks = method_looks(["dense", "wanda", "wanda-2-4", "mine"])
    assert list(looks) == ["wanda", "wanda-2-4", "mine"]
    assert (looks["wanda"].colour, looks["wanda"].marker) == (
        looks["wanda-2-4"].colour, looks["wanda-2-4"].marker,
    )  # fmt: skip
    assert looks["wanda"].filled and not looks["wanda-2-4"].filled

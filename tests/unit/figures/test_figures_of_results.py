"""Figures drawn from manifests, masks, journals and evaluations: what is in them."""

import json
import math
import re
import statistics
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from suite.artifacts.items import write_items
from suite.artifacts.masks import jaccard, save_masks
from suite.figures.agreement import agreement
from suite.figures.cost import cost
from suite.figures.density import density
from suite.figures.gain import gain
from suite.figures.style import add_legend, method_looks, style
from suite.figures.training import training
from suite.tables.evaluations import TASKS

VARIANTS = {"coin": "random-mask"}
KINDS = ("q", "k", "v", "o", "gate", "up", "down")


def texts(svg: Path) -> list[str]:
    return re.findall(r">([^<>\n]+)</text>", svg.read_text())


def cell(
    folder: Path, model: str, method: str, sparsity: str, seconds: float = 3.0, **cost: float
) -> Path:
    """A hardened cell with two blocks, and its evaluation beside it."""
    place = folder / model / method / sparsity
    place.mkdir(parents=True)
    layers = [f"model.layers.{i}.{kind}_proj" for i in range(2) for kind in KINDS]
    manifest = {
        "model": model, "method": method, "target_sparsity": float(sparsity),
        "layer_sparsity": {name: float(sparsity) for name in layers},
        "pruning": {"cost": {"wall_time_seconds": seconds, **cost}},
    }  # fmt: skip
    (place / "manifest.json").write_text(json.dumps(manifest))
    evaluation = {
        "model": model, "method": method, "sparsity": sparsity, "seed": 0,
        "achieved_sparsity": float(sparsity), "perplexity": {"value": 9.0, "stderr": 0.1},
        "tasks": {t: {"task": t, "acc": 0.5, "acc_stderr": 0.01, "samples": 9, "version": "1"}
                  for t in TASKS},
    }  # fmt: skip
    if method in VARIANTS:
        masks = {"implementation": VARIANTS[method]}
        evaluation["provenance"] = {"recipe": {"checkpoint": {"masks": masks}}}
    (place / "evaluation.json").write_text(json.dumps(evaluation))
    return place


def answered(folder: Path, correct: dict[tuple[str, str, int], list[int]]) -> dict[str, list[Path]]:
    """Inputs of `gain`: cells at 0.5 whose answers are the same in all six tasks."""
    inputs: dict[str, list[Path]] = {"evaluations": [], "answers": []}
    for (model, method, seed), answers in correct.items():
        file = cell(folder / str(seed), model, method, "0.5") / "evaluation.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "seed": seed}))
        items = file.with_name("items.csv.gz")
        write_items({task: {task: dict(enumerate(answers))} for task in TASKS}, items)
        inputs["evaluations"].append(file)
        inputs["answers"].append(items)
    return inputs


def test_gain_is_leaps_accuracy_minus_the_others_with_its_paired_error(tmp_path, drawn):
    correct = {
        ("m", "wanda", 0): [1, 1, 0, 0],
        ("m", "admm", 0): [0, 0, 0, 0],
        ("m", "leap", 0): [1, 1, 1, 0],
        ("m", "leap", 1): [1, 1, 0, 0],
        ("m", "random-mask", 0): [0, 0, 0, 0],
        ("m", "coin", 0): [0, 0, 0, 0],
        ("n", "wanda", 0): [1, 0, 0, 0],
        ("n", "random-mask", 0): [0, 0, 0, 0],
        ("o", "leap", 0): [1, 1, 1, 1],
        ("o", "wanda", 0): [1, 1, 1, 1],
    }
    gain(**answered(tmp_path, correct), outputs=[tmp_path / "gain.svg"], note="")
    found = set(texts(tmp_path / "gain.svg"))
    assert {"m", "o", "sparsity 0.5", "Wanda", "ADMM"} <= found
    assert not {"n", "LEAP", "Random mask", "coin"} & found, "controls are no baselines"
    of_m, of_o = drawn[0].axes
    (wanda, admm), (alone,) = of_m.containers, of_o.containers
    dots = [bars.lines[0].get_xydata()[0].tolist() for bars in (wanda, admm, alone)]
    assert dots == [pytest.approx(dot) for dot in ([12.5, 0], [62.5, 1], [0, 0])]
    for bars, differences in ((wanda, [0, 0, 0.5, 0]), (admm, [1, 1, 0.5, 0])):
        # the mean of six tasks that have the same items' differences but are other items
        error = 100 * statistics.stdev(differences) / math.sqrt(4) / math.sqrt(6)
        (start, _), (end, _) = bars.lines[2][0].get_segments()[0]
        assert (end - start) / 2 == pytest.approx(error)


def test_a_gain_without_a_baseline_is_refused(tmp_path):
    inputs = answered(tmp_path, {("m", "leap", 0): [1, 0], ("m", "random-mask", 0): [0, 0]})
    with pytest.raises(ValueError, match="no cell has both LEAP and a baseline"):
        gain(**inputs, outputs=[tmp_path / "gain.svg"], note="")


def test_density_has_every_kind_of_layer(tmp_path):
    places = [cell(tmp_path, model, "leap", s) for model in ("a", "b") for s in ("0.5", "0.6")]
    density([place / "manifest.json" for place in places], [tmp_path / "density.svg"], note="")
    assert {*KINDS, "a", "b", "at sparsity 0.5", "at sparsity 0.6"} <= set(
        texts(tmp_path / "density.svg")
    )


def journal(
    path: Path, steps: list[int], model: str = "a", sparsity: str = "0.5", alpha: float = 25
) -> Path:
    """Of a training, whose alpha starts at this value."""
    lines = [{"event": "start", "tags": {"model": model, "sparsity": sparsity}}]
    for step in steps:
        values = {
            "lm_loss": 5 / (1 + step),
            "density": 0.5,
            "alpha": alpha + step,
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


def test_a_schedule_that_trainings_share_is_drawn_once(tmp_path, drawn):
    grid = [(model, sparsity) for model in ("a", "b") for sparsity in ("0.5", "0.6")]
    same = [journal(tmp_path / f"{m}-{s}", list(range(9)), m, s) for m, s in grid]
    other = journal(tmp_path / "c-0.5", list(range(9)), "c", "0.5", alpha=100)
    for journals, alphas in ((same, 1), ([*same, other], 2)):
        training(journals, [tmp_path / "training.svg"], note="")
        axes = drawn[-1].axes
        columns = len(axes) // 2
        assert [len(panel.lines) for panel in axes[:2]] == [2, 2], "a line a sparsity"
        assert len({panel.get_ylim() for panel in axes[: columns - 1]}) == 1
        alpha, tau = axes[columns - 1], axes[-1]
        assert (len(alpha.lines), len(tau.lines)) == (alphas, 1)


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
    assert found[:3] == ["Wanda", "LEAP", f"{sum(expected) / 2:.2f}"]
    assert {"sparsity 0.5", "(by chance 0.33)"} <= set(found)


def test_agreement_has_each_pair_once_in_colours_of_their_range(tmp_path, drawn):
    kept = {
        "wanda": [1, 1, 1, 1, 0, 0, 0, 0],
        "admm": [1, 1, 1, 0, 1, 0, 0, 0],
        "leap": [0, 1, 1, 0, 1, 1, 0, 0],
    }
    places = []
    for model, sparsity, methods in (
        ("a", "0.5", ["wanda", "admm", "leap"]),
        ("b", "0.5", ["leap", "admm", "wanda"]),  # in another order, one and the same pair
        ("a", "0.6", ["wanda", "leap"]),
        ("a", "0.7", ["leap"]),
    ):
        for method in methods:
            places.append(cell(tmp_path, model, method, sparsity))
            mask = torch.tensor(kept[method]).bool().view(2, 4)
            save_masks({"x": mask}, places[-1] / "mask.safetensors")
    manifests = [place / "manifest.json" for place in places]
    files = [place / "mask.safetensors" for place in places]
    agreement(manifests, files, [tmp_path / "agreement.svg"], note="")
    half, other = drawn[0].axes
    shown = [[text.get_text() for text in axes.texts] for axes in (half, other)]
    assert shown == [["0.60", "0.33", "0.60"], ["0.33"]]
    assert [label.get_text() for label in half.get_xticklabels()] == ["Wanda", "ADMM"]
    assert [label.get_text() for label in half.get_yticklabels()] == ["ADMM", "LEAP"]
    for axes in (half, other):
        assert axes.images[0].get_clim() == pytest.approx((1 / 3, 0.6))
    with pytest.raises(ValueError, match="no model has the masks of two methods"):
        agreement(manifests[-1:], files[-1:], [tmp_path / "agreement.svg"], note="")


def test_masks_of_other_models_are_not_compared(tmp_path):
    save_masks({"x": torch.ones(2, 3).bool()}, tmp_path / "one")
    save_masks({"x": torch.ones(3, 2).bool()}, tmp_path / "other")
    with pytest.raises(ValueError, match="different models"):
        jaccard(tmp_path / "one", tmp_path / "other")


def drawn_cost(folder: Path, places: list[Path]) -> None:
    evaluations = [place / "evaluation.json" for place in places]
    manifests = [place / "manifest.json" for place in places]
    cost(evaluations, manifests, [folder / "cost.svg"], note="")


def test_cost_has_every_method_and_sparsity_the_cheapest_first(tmp_path, drawn):
    places = [
        cell(tmp_path, model, method, sparsity, seconds)
        for model in ("a", "b")
        for method, seconds in (
            *(("leap", 80.0), ("wanda", 3.0), ("random-mask", 1.0)),
            ("coin", 1.0),
        )
        for sparsity in ("0.5", "0.6", "0.7")
    ]
    drawn_cost(tmp_path, places)
    found = set(texts(tmp_path / "cost.svg"))
    assert {"Wanda", "LEAP", "a", "b", "sparsity 0.5", "sparsity 0.6", "sparsity 0.7"} <= found
    assert "Seconds inside the job, without start-up (log scale)" in found
    seconds = drawn[0].axes[0]
    assert [label.get_text() for label in seconds.get_yticklabels()] == ["Wanda", "LEAP"]
    dots = [bars.lines[0].get_xydata()[0] for bars in seconds.containers]
    assert [(x, round(y)) for x, y in dots] == [(80, 1)] * 3 + [(3, 0)] * 3
    with pytest.raises(ValueError, match="no cell is of a method that is no control"):
        drawn_cost(tmp_path, places[6:9])


def test_a_training_costs_its_own_seconds_and_seeds_are_averaged(tmp_path, drawn):
    first = cell(tmp_path / "0", "a", "leap", "0.5", 99.0, training_seconds=70.0)
    second = cell(tmp_path / "1", "a", "leap", "0.5", 98.0, training_seconds=80.0)
    evaluation = json.loads((second / "evaluation.json").read_text())
    (second / "evaluation.json").write_text(json.dumps({**evaluation, "seed": 1}))
    drawn_cost(tmp_path, [first, second])
    (bars,) = drawn[0].axes[0].containers
    assert bars.lines[0].get_xdata().tolist() == [75]


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


def test_a_variant_under_n_of_m_looks_like_its_method_but_open():
    looks = method_looks(["dense", "wanda", "wanda-2-4", "mine"])
    assert list(looks) == ["wanda", "wanda-2-4", "mine"]
    assert (looks["wanda"].colour, looks["wanda"].marker) == (
        looks["wanda-2-4"].colour, looks["wanda-2-4"].marker,
    )  # fmt: skip
    assert looks["wanda"].filled and not looks["wanda-2-4"].filled

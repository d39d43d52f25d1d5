"""What is in the figures of results, manifests, masks and journals."""

import json
import math
import re
import statistics
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from suite.artifacts.masks import jaccard, save_masks
from suite.figures.agreement import agreement
from suite.figures.cost import cost
from suite.figures.density import density
from suite.figures.gain import gain
from suite.figures.quality import quality
from suite.figures.style import add_legend, style
from suite.figures.training import training
from suite.report.examples import tracked
from suite.results.collect import Files
from suite.results.frame import Results
from suite.tables.told import Told
from tests.conftest import ROOT
from tests.unit.made import KINDS, Made, collected, made, part_of

TASKS = ("piqa", "mmlu")
CORRECT = {
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
TOLD = Told("test")


def texts(svg: Path) -> list[str]:
    return re.findall(r">([^<>\n]+)</text>", svg.read_text())


def answered(folder: Path, correct: dict[tuple[str, str, int], list[int]]) -> Results:
    """Cells at 0.5 whose answers are the same in all tasks."""
    files: Made = {}
    for (model, method, seed), answers in correct.items():
        files |= made(
            folder, model, method, seed=seed, answers=dict.fromkeys(TASKS, answers),
            implementation="random-mask" if method == "coin" else "",
        )  # fmt: skip
    return collected(files)


def gain_dots(figure: Figure) -> dict[str, dict[str, tuple[float, float]]]:
    """By model and method: the difference that is drawn, and its bar's half."""
    found: dict[str, dict[str, tuple[float, float]]] = {}
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    for axes in figure.axes:
        of_model = found.setdefault(axes.get_title() or figure.subfigs[0].get_suptitle(), {})
        for bars in axes.containers:
            x, y = bars.lines[0].get_xydata()[0]
            (start, _), (end, _) = bars.lines[2][0].get_segments()[0]
            of_model[names[round(y)]] = (x, (end - start) / 2)
    return found


@pytest.mark.parametrize(
    ("subject", "label", "gains"),
    [
        ("leap", "LEAP", {
            "m": {"Wanda": [0, 0, 0.5, 0], "ADMM": [1, 1, 0.5, 0]}, "o": {"Wanda": [0] * 4},
        }),
        ("wanda", "Wanda", {
            "m": {"ADMM": [1, 1, 0, 0], "LEAP": [0, 0, -0.5, 0]}, "o": {"LEAP": [0] * 4},
        }),
        ("admm", "ADMM", {"m": {"Wanda": [-1, -1, 0, 0], "LEAP": [-1, -1, -0.5, 0]}}),
    ],
)  # fmt: skip
def test_gain_is_the_subjects_accuracy_minus_the_others_with_its_paired_error(
    tmp_path, drawn, subject, label, gains
):
    gain(answered(tmp_path, CORRECT), Told("test", subject=subject), [tmp_path / "gain.svg"])
    written = set(texts(tmp_path / "gain.svg"))
    methods = {method for of_model in gains.values() for method in of_model}
    assert {*gains, *methods, "sparsity 0.5"} <= written
    assert any(f"accuracy of {label} minus" in text for text in written)
    assert not {"n", label, "Random mask", "coin"} & written, "controls are no baselines"
    found = gain_dots(drawn[0])
    assert found.keys() == gains.keys()
    for model, of_model in gains.items():
        assert found[model].keys() == of_model.keys()
        for method, differences in of_model.items():
            # the mean of tasks that have the same items' differences but are other items
            error = 100 * statistics.stdev(differences) / math.sqrt(4 * len(TASKS))
            expected = (100 * statistics.fmean(differences), error)
            assert found[model][method] == pytest.approx(expected), (model, method)


@pytest.mark.parametrize(
    ("subject", "label"), [("leap", "LEAP"), ("reconstruct", "Reconstruction")]
)
def test_a_gain_without_a_baseline_or_without_the_subject_is_refused(tmp_path, subject, label):
    results = answered(tmp_path, {("m", "leap", 0): [1, 0] * 2, ("m", "random-mask", 0): [0] * 4})
    with pytest.raises(ValueError, match=f"no cell has both {label} and a baseline"):
        gain(results, Told("test", subject=subject), [tmp_path / "gain.svg"])


def cells(folder: Path, *names: tuple[str, str, float], seconds: float = 3.0) -> list[Files]:
    """Hardened cells of a model, a method and a sparsity."""
    return [
        file
        for name in names
        for file in made(folder, *name, cost={"wall_time_seconds": seconds}).values()
    ]


def test_density_has_every_kind_of_layer(tmp_path):
    files = cells(tmp_path, *((model, "leap", s) for model in ("a", "b") for s in (0.5, 0.6)))
    density([file.manifest for file in files], TOLD, [tmp_path / "density.svg"])
    assert {*KINDS, "a", "b", "at sparsity 0.5", "at sparsity 0.6"} <= set(
        texts(tmp_path / "density.svg")
    )


def journal(
    path: Path,
    steps: Sequence[int] = range(9),
    model: str = "a",
    sparsity: str = "0.5",
    alpha: float = 25,
) -> Path:
    """Of a training, whose alpha starts at this value."""
    lines = [{"event": "start", "tags": {"model": model, "sparsity": sparsity}}]
    for step in steps:
        fall = 5 / (1 + step)
        values = {"lm_loss": fall, "density": 0.5, "alpha": alpha + step, "tau": fall}
        lines.append({"event": "metrics", "step": step, "values": values})
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    return path


def test_a_training_that_was_taken_up_again_is_drawn_as_one(tmp_path):
    whole = journal(tmp_path / "whole.jsonl")
    repeated = journal(tmp_path / "repeated.jsonl", [0, 1, 2, 3, 2, 3, 4, 5, 6, 7, 8])
    training([whole], TOLD, [tmp_path / "whole.svg"])
    training([repeated], TOLD, [tmp_path / "repeated.svg"])
    assert (tmp_path / "whole.svg").read_bytes() == (tmp_path / "repeated.svg").read_bytes()
    assert {"a", "sparsity 0.5", "Step"} <= set(texts(tmp_path / "whole.svg"))
    with pytest.raises(ValueError, match="no step of a training"):
        training([journal(tmp_path / "none.jsonl", [])], TOLD, [tmp_path / "none.svg"])


def test_a_schedule_that_trainings_share_is_drawn_once(tmp_path, drawn):
    grid = [(model, sparsity) for model in ("a", "b") for sparsity in ("0.5", "0.6")]
    same = [journal(tmp_path / f"{m}-{s}", range(9), m, s) for m, s in grid]
    other = journal(tmp_path / "c-0.5", range(9), "c", "0.5", alpha=100)
    for journals, alphas in ((same, 1), ([*same, other], 2)):
        training(journals, TOLD, [tmp_path / "training.svg"])
        axes = drawn[-1].axes
        columns = len(axes) // 2
        assert [len(panel.lines) for panel in axes[:2]] == [2, 2], "a line a sparsity"
        assert len({panel.get_ylim() for panel in axes[: columns - 1]}) == 1
        alpha, tau = axes[columns - 1], axes[-1]
        assert (len(alpha.lines), len(tau.lines)) == (alphas, 1)


def masked(folder: Path, masks: dict[tuple[str, str, float], list[int]]) -> tuple[list[Path], ...]:
    """Manifests and masks of cells, whose masks have these bits."""
    files = cells(folder, *masks)
    paths = [file.manifest.with_name("mask.safetensors") for file in files]
    for path, bits in zip(paths, masks.values(), strict=True):
        save_masks({"x": torch.tensor(bits).bool().view(2, -1)}, path)
    return [file.manifest for file in files], paths


def test_agreement_is_the_mean_jaccard_index(tmp_path):
    torch.manual_seed(0)
    names = [(model, method, 0.5) for model in ("a", "b") for method in ("wanda", "leap")]
    bits = {name: torch.randint(2, (48,)).tolist() for name in names}
    manifests, masks = masked(tmp_path, bits)
    expected = []
    for first in (0, 2):
        one, other = ({i for i in range(48) if bits[names[first + k]][i]} for k in (0, 1))
        expected.append(len(one & other) / len(one | other))
        assert jaccard(*masks[first : first + 2]) == expected[-1]
    agreement(manifests, masks, TOLD, [tmp_path / "agreement.svg"])
    found = texts(tmp_path / "agreement.svg")
    assert found[:3] == ["Wanda", "LEAP", f"{sum(expected) / 2:.2f}"]
    assert {"sparsity 0.5", "(by chance 0.33)"} <= set(found)


def test_agreement_has_each_pair_once_in_colours_of_their_range(tmp_path, drawn):
    kept = {
        "wanda": [1, 1, 1, 1, 0, 0, 0, 0],
        "admm": [1, 1, 1, 0, 1, 0, 0, 0],
        "leap": [0, 1, 1, 0, 1, 1, 0, 0],
    }
    places = [
        ("a", 0.5, ["wanda", "admm", "leap"]),
        ("b", 0.5, ["leap", "admm", "wanda"]),  # in another order, one and the same pair
        ("a", 0.6, ["wanda", "leap"]),
        ("a", 0.7, ["leap"]),
    ]
    manifests, masks = masked(
        tmp_path, {(model, name, s): kept[name] for model, s, names in places for name in names}
    )
    agreement(manifests, masks, TOLD, [tmp_path / "agreement.svg"])
    half, other = drawn[0].axes
    shown = [[text.get_text() for text in axes.texts] for axes in (half, other)]
    assert shown == [["0.60", "0.33", "0.60"], ["0.33"]]
    assert [label.get_text() for label in half.get_xticklabels()] == ["Wanda", "ADMM"]
    assert [label.get_text() for label in half.get_yticklabels()] == ["ADMM", "LEAP"]
    for axes in (half, other):
        assert axes.images[0].get_clim() == pytest.approx((1 / 3, 0.6))
    with pytest.raises(ValueError, match="no model has the masks of two methods"):
        agreement(manifests[-1:], masks[-1:], TOLD, [tmp_path / "agreement.svg"])


def test_masks_of_other_models_are_not_compared(tmp_path):
    save_masks({"x": torch.ones(2, 3).bool()}, tmp_path / "one")
    save_masks({"x": torch.ones(3, 2).bool()}, tmp_path / "other")
    with pytest.raises(ValueError, match="different models"):
        jaccard(tmp_path / "one", tmp_path / "other")


def test_cost_has_every_method_and_sparsity_the_cheapest_first(tmp_path, drawn):
    files: Made = {}
    for method, seconds in (("leap", 80.0), ("wanda", 3.0), ("random-mask", 1.0), ("coin", 1.0)):
        for model in ("a", "b"):
            for sparsity in (0.5, 0.6, 0.7):
                files |= made(
                    tmp_path, model, method, sparsity, cost={"wall_time_seconds": seconds},
                    implementation="random-mask" if method == "coin" else "",
                )  # fmt: skip
    results = collected(files)
    cost(results, TOLD, [tmp_path / "cost.svg"])
    found = set(texts(tmp_path / "cost.svg"))
    assert {"Wanda", "LEAP", "a", "b", "sparsity 0.5", "sparsity 0.6", "sparsity 0.7"} <= found
    assert "Seconds inside the job, without start-up (log scale)" in found
    seconds = drawn[0].axes[0]
    assert [label.get_text() for label in seconds.get_yticklabels()] == ["Wanda", "LEAP"]
    dots = [bars.lines[0].get_xydata()[0] for bars in seconds.containers]
    assert [(x, round(y)) for x, y in dots] == [(80, 1)] * 3 + [(3, 0)] * 3
    with pytest.raises(ValueError, match="no cell is of a method that is no control"):
        cost(part_of(results, results.cells["control"]), TOLD, [tmp_path / "cost.svg"])


def test_a_training_costs_its_own_seconds_and_seeds_are_averaged(tmp_path, drawn):
    files: Made = {}
    for seed, (wall, trained) in enumerate([(99.0, 70.0), (98.0, 80.0)]):
        of_job = {"wall_time_seconds": wall, "training_seconds": trained}
        files |= made(tmp_path, "a", "leap", seed=seed, cost=of_job)
    files |= made(tmp_path, "a", "wanda", cost={"wall_time_seconds": 5.0})
    cost(collected(files), TOLD, [tmp_path / "cost.svg"])
    wanda, leap = sorted(drawn[0].axes[0].containers, key=lambda bars: bars.lines[0].get_ydata()[0])
    assert [bars.lines[0].get_xdata().tolist() for bars in (wanda, leap)] == [[5], [75]]


@pytest.mark.parametrize("draw", [quality, gain, cost])
def test_figures_of_tracked_results_are_the_tracked_ones(tmp_path, draw):
    """The same words, and every dot where it is, down to a rounding of the numbers."""
    folder = ROOT / "results/examples/claim"
    grid = pd.read_csv(folder / "main.csv", dtype={"sparsity": str})
    paths = [
        f"{cell.model}/{cell.method}/{cell.sparsity}{f'/seed-{cell.seed}' if cell.seed else ''}"
        for cell in grid.itertuples()
    ]
    draw(tracked("claim", paths), Told("claim"), [tmp_path / "drawn.svg"])
    drawn, kept = tmp_path / "drawn.svg", folder / f"{draw.__name__}.svg"
    assert texts(drawn) == texts(kept)
    place = r'<use xlink:href="[^"]*" x="([\d.]+)" y="([\d.]+)"'
    found, expected = (
        [float(number) for dot in re.findall(place, file.read_text()) for number in dot]
        for file in (drawn, kept)
    )
    assert found == pytest.approx(expected, abs=0.01) and len(found) > 50


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

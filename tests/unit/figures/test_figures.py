"""Contents of the figures, and their files."""

import math
import re
import statistics
from itertools import product

import pandas as pd
import pytest
import torch

from leap_suite.artifacts.masks import jaccard, save_masks
from leap_suite.figures.style import draw
from leap_suite.report.examples import tracked
from leap_suite.results.frame import Results
from leap_suite.tables.context import Context
from tests.conftest import ROOT
from tests.unit.figures.conftest import drawn, journal, texts
from tests.unit.made import KINDS, made
from tests.unit.results.example import ran, results

METHODS = {"magnitude": "Magnitude", "wanda": "Wanda", "thanos": "Thanos", "leap": "LEAP",
           "new_$method": "new_$method"}  # fmt: skip
CONTEXT = Context("test")


def grid(models=("qwen", "llama"), sparsities=("0.5", "0.6"), dense=True) -> Results:
    cells = [ran("dense", 0.9, 2.0, model=model) for model in models if dense]
    for model, (rank, method), s in product(models, enumerate(METHODS), sparsities):
        cells.append(ran(method, (50 + rank) / 100, 19 - rank - float(s), s, model))
    return results(cells)


# Files


@pytest.mark.parametrize("name", ["quality", "sweep"])
def test_files_of_every_format_name_every_method_and_are_repeatable(tmp_path, name):
    found, contents = grid(), []
    for folder in (tmp_path / "first", tmp_path / "second"):
        files = [folder / f"figure.{suffix}" for suffix in ("svg", "pdf", "png")]
        draw(name, {"results": found}, CONTEXT, files)
        contents.append([file.read_bytes() for file in files])
        assert sorted(folder.iterdir()) == sorted(files), "no temporary file may remain"
    svg, pdf, png = contents[0]
    assert contents[1] == contents[0]
    assert (svg[:5], pdf[:5], png[:4]) == (b"<?xml", b"%PDF-", b"\x89PNG")
    for text in [*METHODS.values(), "Dense", "qwen", "llama"]:
        assert f">{text}<" in svg.decode(), text
    with pytest.raises(ValueError, match=r"figure\.gif: a figure is saved as \.svg, \.pdf, \.png"):
        draw(name, {"results": found}, CONTEXT, [tmp_path / "figure.gif"])


@pytest.mark.parametrize(("models", "lines"), [(["qwen"], 2), (["qwen", "llama", "gemma"], 1)])
def test_the_note_is_in_a_strip_below_the_figure(tmp_path, models, lines):
    note = "Miniature models, generated tasks: nothing of this was measured on a real model"
    found = []
    for said in ("", note):
        file = tmp_path / f"with {len(said)}.svg"
        draw("quality", {"results": grid(models)}, Context("test", note=said), [file])
        svg = re.sub(r"(\.\d\d)\d+", r"\1", file.read_text())
        size = map(float, re.findall(r'(?:width|height)="([\d.]+)pt"', svg)[:2])
        found.append((*size, re.findall(r"<text ([^>]*)>([^<\n]+)<", svg)))
    (plain_width, plain_height, without), (width, height, with_note) = found
    assert width == plain_width and height - plain_height == pytest.approx(lines * 11.52, abs=0.1)
    added = [text for place, text in with_note if (place, text) not in without]
    assert len(added) == lines and " ".join(added).split() == note.split()
    assert set(without) < set(with_note), "everything else stays in place"


@pytest.mark.parametrize("name", ["quality", "gain", "cost"])
def test_figures_of_tracked_results_are_the_tracked_ones(tmp_path, name):
    """Equal texts, and every dot in its place up to rounding."""
    folder = ROOT / "results/examples/claim"
    cells = pd.read_csv(folder / "main.csv", dtype={"sparsity": str}).itertuples()
    paths = [f"{c.model}/{c.method}/{c.sparsity}" + f"/seed-{c.seed}" * bool(c.seed) for c in cells]
    draw(name, {"results": tracked("claim", paths)}, Context("claim"), [tmp_path / "drawn.svg"])
    found, kept = (
        (f / n).read_text() for f, n in ((tmp_path, "drawn.svg"), (folder, f"{name}.svg"))
    )
    place = r'<use xlink:href="[^"]*" x="([\d.]+)" y="([\d.]+)"'
    dots, expected = (
        [float(x) for dot in re.findall(place, svg) for x in dot] for svg in (found, kept)
    )
    assert re.findall(">[^<>\n]+</text>", found) == re.findall(">[^<>\n]+</text>", kept)
    assert dots == pytest.approx(expected, abs=0.01) and len(dots) > 50


# Quality and sweep


@pytest.mark.parametrize("name", ["quality", "sweep"])
def test_controls_are_left_out_whatever_their_name_and_seeds_are_averaged(tmp_path, name):
    cells = [ran("dense", 0.9), ran("leap", 0.6, 9.0)]
    controls = [ran("random-mask", 0.1), ran("coin", 0.1, implementation="random-mask")]
    seeds = [ran("wanda", 0.5, 9.0), ran("wanda", 0.54, 11.0, seed=1)]
    for file, more in (("with", [*controls, *seeds]), ("without", [ran("wanda", 0.52, 10.0)])):
        draw(name, {"results": results([*cells, *more])}, CONTEXT, [tmp_path / file / "f.svg"])
    svg = (tmp_path / "with/f.svg").read_text()
    assert svg == (tmp_path / "without/f.svg").read_text() and ">LEAP<" in svg


@pytest.mark.parametrize("name", ["quality", "sweep"])
@pytest.mark.parametrize(
    ("models", "sparsities", "dense"),
    [(["one"], ["0.5"], False), (["one"], [], True), (["a", "b", "c", "d", "e"], ["0.5"], True)],
)
def test_grids_of_any_size_are_drawn(name, models, sparsities, dense):
    found = set(texts(drawn(name, results=grid(models, sparsities, dense))))
    assert set(models[:4]) <= found
    assert ("Dense" in found, "Wanda" in found) == (dense, bool(sparsities))


# Gain and cost

RIGHT = {  # models, methods, seeds
    ("m", "wanda", 0): [1, 1, 0, 0], ("m", "admm", 0): [0, 0, 0, 0],
    ("m", "leap", 0): [1, 1, 1, 0], ("m", "leap", 1): [1, 1, 0, 0],
    ("m", "random-mask", 0): [0, 0, 0, 0], ("m", "coin", 0): [0, 0, 0, 0],
    ("n", "wanda", 0): [1, 0, 0, 0], ("n", "random-mask", 0): [0, 0, 0, 0],
    ("o", "leap", 0): [1, 1, 1, 1], ("o", "wanda", 0): [1, 1, 1, 1],
}  # fmt: skip
GAINS = [
    ("leap", {"m": {"Wanda": [0, 0, 0.5, 0], "ADMM": [1, 1, 0.5, 0]}, "o": {"Wanda": [0] * 4}}),
    ("wanda", {"m": {"ADMM": [1, 1, 0, 0], "LEAP": [0, 0, -0.5, 0]}, "o": {"LEAP": [0] * 4}}),
]


def answered(right) -> Results:
    """Cells with the same answers to two tasks."""
    return results(
        [ran(method, model=model, seed=seed, right=[answers] * 2,
             implementation="random-mask" if method == "coin" else method)
         for (model, method, seed), answers in right.items()],
        {"piqa": {}, "mmlu": {}},
    )  # fmt: skip


@pytest.mark.parametrize(("subject", "gains"), GAINS)
def test_gain_is_the_paired_difference_to_each_baseline_but_controls(subject, gains):
    figure = drawn("gain", Context("test", subject=subject), results=answered(RIGHT))
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert [axes.get_title() for axes in figure.axes] == list(gains)
    for axes, of_model in zip(figure.axes, gains.values(), strict=True):
        bars = {names[round(b.lines[0].get_ydata()[0])]: b for b in axes.containers}
        assert bars.keys() == of_model.keys()
        for method, differences in of_model.items():
            # two tasks with equal differences are still other items
            error = 100 * statistics.stdev(differences) / math.sqrt(4 * 2)
            if axes.get_title() == "m" and "leap" in (subject, method.lower()):
                # of LEAP's two trainings: 25 points apart, with a paired error of 17.7
                error = math.hypot(error, math.sqrt((25**2 - 2 * 12.5**2) / 2 / 2))
            mean = 100 * statistics.fmean(differences)
            (ends,) = bars[method].lines[2][0].get_segments()
            assert bars[method].lines[0].get_xdata()[0] == pytest.approx(mean)
            assert ends[:, 0].tolist() == pytest.approx([mean - error, mean + error])


def test_a_gain_without_baseline_or_subject_is_refused():
    found = answered({("m", "leap", 0): [1, 0], ("m", "random-mask", 0): [0, 0]})
    with pytest.raises(ValueError, match="no cell has both LEAP and a baseline"):
        drawn("gain", results=found)


def test_cost_is_wall_time_or_training_time_the_cheapest_method_first():
    cells = [ran("leap", wall=99.0, trained=70.0 + 20 * seed, seed=seed) for seed in (0, 1)]
    cells += [ran("leap", sparsity="0.6", wall=80.0), ran("wanda", wall=5.0)]
    control = ran("coin", wall=1.0, implementation="random-mask")
    figure = drawn("cost", results=results([*cells, control]))
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Wanda", "LEAP"]
    dots = [(x, round(y)) for b in axes.containers for x, y in b.lines[0].get_xydata()]
    assert sorted(dots) == [(5, 0), (80, 1), (80, 1)]
    assert {"sparsity 0.5", "sparsity 0.6", "start-up (log scale)"} <= set(texts(figure))
    with pytest.raises(ValueError, match="no cell is of a method that is no control"):
        drawn("cost", results=results([control]))


# Density, training, agreement


def test_density_has_every_kind_of_layer(tmp_path):
    places = product(("a", "b"), ["leap"], (0.5, 0.6))
    manifests = [file.manifest for p in places for file in made(tmp_path, *p).values()]
    found = drawn("density", manifests=manifests)
    assert {*KINDS, "uniform", "a", "b", "at sparsity 0.5", "at sparsity 0.6"} <= set(texts(found))
    levels = [[line.get_ydata()[0] for line in axes.lines] for axes in found.axes]
    assert levels == [[50] * 8] * 2 + [[40] * 8] * 2


def test_a_resumed_training_is_one_line_and_a_common_schedule_is_drawn_once(tmp_path):
    resumed = journal(tmp_path / "resumed", [0, 1, 2, 3, 2, 3, 4, 5, 6, 7, 8])
    (line,) = drawn("training", journals=[resumed]).axes[0].lines
    assert line.get_xdata().tolist() == list(range(9))
    (line,) = drawn("training", journals=[journal(tmp_path / "long", range(60))]).axes[0].lines
    losses = [5 / (1 + step) for step in range(60)]
    smooth = [statistics.fmean(losses[max(0, step - 2) : step + 1]) for step in range(60)]
    assert line.get_ydata().tolist() == pytest.approx(smooth), "over a twentieth of the steps"
    same = [journal(tmp_path / f"{m}{s}", range(9), m, s) for m in "ab" for s in ("0.5", "0.6")]
    other = journal(tmp_path / "c", range(9), "c", "0.5", alpha=100)
    for journals, alphas in ((same, 1), ([*same, other], 2)):
        axes = drawn("training", journals=journals).axes
        columns = len(axes) // 2
        assert [len(panel.lines) for panel in axes[:2]] == [2, 2], "a line a sparsity"
        assert len({panel.get_ylim() for panel in axes[: columns - 1]}) == 1
        assert (len(axes[columns - 1].lines), len(axes[-1].lines)) == (alphas, 1)
    with pytest.raises(ValueError, match="no step of a training"):
        drawn("training", journals=[journal(tmp_path / "none", [])])


def test_agreement_is_the_mean_jaccard_index_of_each_pair(tmp_path):
    kept = {"wanda": "11110000", "admm": "11101000", "leap": "01101100"}
    places = [
        *(("a", method, 0.5) for method in ("wanda", "admm", "leap")),
        *(("b", method, 0.5) for method in ("leap", "admm")),
        *(("a", "wanda", 0.6), ("a", "leap", 0.6), ("a", "leap", 0.7)),
    ]
    manifests = [file.manifest for p in places for file in made(tmp_path, *p).values()]
    masks = [manifest.with_name("mask.safetensors") for manifest in manifests]
    for (model, method, _), mask in zip(places, masks, strict=True):
        bits = "1" * 8 if (model, method) == ("b", "admm") else kept[method]
        save_masks({"x": torch.tensor([*map(int, bits)]).bool().view(2, 4)}, mask)
    figure = drawn("agreement", manifests=manifests, masks=masks)
    half, other = figure.axes
    # in model b, ADMM keeps 8 weights, of which LEAP keeps 4
    numbers = [[text.get_text() for text in axes.texts] for axes in (half, other)]
    assert numbers == [["0.60", "0.33", "0.55"], ["0.33"]]
    assert [label.get_text() for label in half.get_xticklabels()] == ["Wanda", "ADMM"]
    assert [label.get_text() for label in half.get_yticklabels()] == ["ADMM", "LEAP"]
    assert "(by chance 0.33)" in half.get_title()
    for axes in (half, other):
        assert axes.images[0].get_clim() == pytest.approx((1 / 3, 0.6))
    with pytest.raises(ValueError, match="no model has the masks of two methods"):
        drawn("agreement", manifests=manifests[-1:], masks=masks[-1:])
    save_masks({"x": torch.ones(4, 2).bool()}, masks[0])
    with pytest.raises(ValueError, match="different models"):
        jaccard(*masks[:2])

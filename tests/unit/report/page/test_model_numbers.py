"""Every number in the sections of models against evaluations, manifests, journals and main.csv."""

import itertools
import json
import math
import re

import pytest

from suite.plan.methods import method_label
from tests.unit.report.example_grid import CONTROL, MODELS, SPARSITIES, STEPS
from tests.unit.report.printed import (
    METHOD_OF,
    NUMBER,
    TASK_OF,
    check_row,
    check_sentence,
    is_printed,
)

MEASURES = {"Average": "average", **TASK_OF}


@pytest.fixture(params=MODELS)
def model(request):
    return request.param


@pytest.fixture
def section(html, model):
    """The model's section, found by its heading."""
    found = {part.all("h3")[0].text: part for part in html.all("details", class_="model")}
    assert tuple(found) == MODELS
    return found[model]


def test_what_made_the_numbers(grid, section, model):
    evaluations = {
        (of["method"], of["sparsity"], of["seed"]): of
        for of in (json.loads(path.read_text()) for path in grid.evaluations)
        if of["model"] == model
    }
    for row in section.one("table", class_="sortable").rows():
        method, sparsity = METHOD_OF[row["Method"].text], row["Sparsity"].text
        seed = int(row["Seed"].text)
        evaluation = evaluations.pop((method, sparsity, seed))
        path = f"{model}/{method}/{sparsity}" + (f"/seed-{seed}" if seed else "")
        if path in grid.manifests:
            manifest = json.loads(grid.manifests[path].read_text())
            device, cost = manifest["pruning"]["device"], manifest["pruning"]["cost"]
        else:  # of the dense model
            assert method == "dense"
            manifest, cost = evaluation["provenance"], {}
            device = manifest["device"]
        expected = {
            "Method": method_label(method),
            "Sparsity": sparsity,
            "Seed": str(seed),
            "Achieved": float(evaluation["achieved_sparsity"]),
            "Seconds": cost.get("wall_time_seconds", math.nan),
            "Peak GB": cost.get("peak_memory_bytes", math.nan) / 1e9,
            "Device": device,
            "Commit": manifest["git_commit"][:7],
        }
        check_row(row, expected)
    assert evaluations == {}


def test_summary(grid, section, model):
    first = grid.main.query("model == @model and seed == 0").set_index(["method", "sparsity"])
    dense, *leap = (
        first.loc[place, "average"]
        for place in (("dense", "0.0"), *(("leap", sparsity) for sparsity in SPARSITIES))
    )
    text = section.all("summary")[0].one("span").text
    assert re.fullmatch(r"dense \S+ %(, LEAP \S+ % at 0\.\d)+", text)
    places = zip(leap, map(float, SPARSITIES), strict=True)
    check_sentence(text, dense, *itertools.chain(*places))


def test_bars(grid, section, model):
    charts = [svg for svg in section.all("svg") if svg.all("rect")]
    places = itertools.product(SPARSITIES, MEASURES.items())
    for svg, (sparsity, (title, measure)) in zip(charts, places, strict=True):
        where = f"{title} at {sparsity}"
        assert svg.attributes["aria-label"] == f"{where}: accuracy in percent by method"
        results = grid.means.loc[model, sparsity]
        seeds = grid.main.query("model == @model and sparsity == @sparsity")["method"]
        dense = grid.means.loc[(model, "0.0", "dense"), measure]
        tick = svg.one("g", class_="axis").all("text")[-1]
        unit = float(tick.attributes["x"]) / float(tick.text)
        marks = svg.all("g", class_="mark")
        assert len(marks) == len(results)
        for mark in marks:
            tip = re.fullmatch(
                rf"(.+), {re.escape(where)}: ({NUMBER}) ± ({NUMBER}) %"
                rf"(?:, mean of (\d) seeds)?, dense ({NUMBER}) %",
                mark.one("title").text,
            )
            assert tip, mark.one("title").text
            method = METHOD_OF[tip[1]]
            value, error = results.loc[method, [measure, f"{measure}_stderr"]]
            assert all(map(is_printed, tip.group(2, 3, 5), (value, error, dense)))
            assert int(tip[4] or 1) == (seeds == method).sum()
            label, printed = (text.text for text in mark.all("text"))
            assert label == tip[1] and is_printed(printed, value)
            width = float(mark.one("rect", class_="bar").attributes["width"])
            assert width == pytest.approx(value * unit, abs=0.2)
            assert ("leap" in mark.classes) == (method == "leap")
            assert ("control" in mark.classes) == (method == CONTROL)
        line = svg.one("path", class_="dense").attributes["d"]
        assert float(line[1:].partition(" ")[0]) == pytest.approx(dense * unit, abs=0.2)


def test_density_maps(grid, section, model):
    figures, largest = section.one("div", class_="maps").all("figure"), 0.0
    for figure, sparsity in zip(figures, SPARSITIES, strict=True):
        manifest = json.loads(grid.manifests[f"{model}/leap/{sparsity}"].read_text())
        target = 100 * (1 - float(sparsity))
        check_sentence(figure.one("figcaption").text, float(sparsity), target)
        layers = dict(manifest["layer_sparsity"])
        for block, row in enumerate(figure.one("table").rows()):
            assert row.pop("Block").text == str(block)
            for kind, shade in row.items():
                kept = 100 * (1 - layers.pop(f"model.layers.{block}.part.{kind}_proj"))
                assert is_printed(shade.text, kept)
                assert shade.attributes["title"].startswith(f"Block {block}, {kind}: ")
                check_sentence(shade.attributes["title"], block, kept, kept - target)
                largest = max(largest, abs(kept - target))
        assert layers == {}
    (legend,) = [p.text for p in section.all("p") if "the strongest colour" in p.text]
    check_sentence(legend, largest)


def test_training_curves(grid, section, model):
    figures = section.one("div", class_="of-two").all("figure")
    for figure, (name, scale) in zip(figures, (("lm_loss", 1), ("density", 100)), strict=True):
        curves, ends = [group for group in figure.all("g") if group.all("polyline")], []
        for curve, sparsity in zip(curves, SPARSITIES, strict=True):
            lines = grid.journals[model, sparsity].read_text().splitlines()[1:]
            values = [scale * json.loads(line)["values"][name] for line in lines]
            tips = [mark.one("title").text for mark in curve.all("g", class_="mark")]
            assert len(tips) == STEPS
            for step, (tip, value) in enumerate(zip(tips, values, strict=True)):
                check_sentence(tip, float(sparsity), step, value)
            ends += [float(sparsity), values[0], values[-1]]
        check_sentence(figure.one("figcaption").one("span", class_="quiet").text, *ends)

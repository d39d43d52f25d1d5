"""Every number in the sections of models against evaluations, manifests and journals."""

import itertools
import json
import re

import pytest

from suite.plan.methods import method_label
from tests.unit.report.example_grid import CONTROL, MODELS, SPARSITIES, STEPS, TASKS, TITLES
from tests.unit.report.printed import METHOD_OF, NUMBER, check_row, check_sentence, is_printed

# of shares of correct items alone
MEASURES = {"average": "Average", **TITLES, "gsm8k": TASKS["gsm8k"]}


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
    results = grid.main[grid.main["model"] == model].set_index(["method", "sparsity", "seed"])
    found = []
    for row in section.one("table", class_="sortable").rows():
        method, sparsity = METHOD_OF[row["Method"].text], row["Sparsity"].text
        seed = int(row["Seed"].text)
        files = grid.files[f"{model}/{method}/{sparsity}" + (f"/seed-{seed}" if seed else "")]
        if files.manifest:
            made = json.loads(files.manifest.read_text())
            device = made["pruning"]["device"]
        else:  # of the dense model
            made = json.loads(files.evaluation.read_text())["provenance"]
            device = made["device"]
        result = results.loc[method, sparsity, seed]
        expected = {
            "Method": method_label(method),
            "Sparsity": sparsity,
            "Seed": str(seed),
            "Achieved": result["achieved_sparsity"],
            "Seconds": result["seconds"],
            "Peak GB": result["peak"],
            "Device": device,
            "Commit": made["git_commit"][:7],
        }
        check_row(row, expected)
        found.append((method, sparsity, seed))
    assert sorted(found) == sorted(results.index)


def test_summary(grid, section, model):
    first = grid.main.query("model == @model and seed == 0").set_index(["method", "sparsity"])
    numbers = [first.loc[("dense", "0.0"), "average"]]
    for sparsity in SPARSITIES if grid.against else ():
        numbers += [first.loc[(grid.subject, sparsity), "average"], float(sparsity)]
    text = section.all("summary")[0].one("span").text
    assert re.fullmatch(rf"dense \S+ %(, {grid.label} \S+ % at 0\.\d)*", text)
    check_sentence(text, *numbers)


def test_bars(grid, section, model):
    charts = [svg for svg in section.all("svg") if svg.all("rect")]
    places = itertools.product(SPARSITIES, MEASURES.items())
    for svg, (sparsity, (measure, title)) in zip(charts, places, strict=True):
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
            assert ("subject" in mark.classes) == (method == grid.subject)
            assert ("control" in mark.classes) == (method == CONTROL)
        assert place_of(svg.all("path", class_="dense")) == pytest.approx([dense * unit], abs=0.2)
        chance = [20 + tuple(TITLES).index(measure)] if measure in TITLES else []
        chance += [22.5] if measure == "average" else []
        at = [percent * unit for percent in chance]
        assert place_of(svg.all("path", class_="chance")) == pytest.approx(at, abs=0.2)


def place_of(lines):
    return [float(line.attributes["d"][1:].partition(" ")[0]) for line in lines]


def test_density_maps(grid, section, model):
    if not grid.against:
        assert not section.all("div", class_="maps")
        return
    figures, largest = section.one("div", class_="maps").all("figure"), 0.0
    for figure, sparsity in zip(figures, SPARSITIES, strict=True):
        manifest = json.loads(grid.files[f"{model}/{grid.subject}/{sparsity}"].manifest.read_text())
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
    if grid.subject != "leap":
        assert not section.all("div", class_="of-two")
        return
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

"""Figures in print: width, type sizes, scales, and looks that differ without colour."""

import re
from functools import cache
from itertools import combinations, pairwise, product

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from leap_suite.artifacts.masks import save_masks
from leap_suite.figures.panels import COLUMN_INCHES, PAGE_INCHES
from leap_suite.figures.style import Look, method_looks, shades, style
from leap_suite.plan.methods import known_methods
from leap_suite.results.frame import Results
from leap_suite.tables.context import Context
from tests.unit.figures.conftest import FIGURES, drawn, journal
from tests.unit.made import made
from tests.unit.results.example import ran, results

OF_POINTS = ("budget", "shipped", "tokens")
OF_RESULTS = ("ablations", "cost", "gain", "patterns", "quality", "sweep", *OF_POINTS)
METHODS = ["magnitude", "wanda", "admm", "admm-cubic", "leap"]
PATTERNS = {"leap": "free", "wanda-2-4": "2:4", "admm-2-4": "2:4", "patch": "dense or 2:4"}
OF_PATTERNS = [  # method, target, achieved, accuracy, perplexity
    ("dense", 0.0, 0.0, 90, 2.0),
    ("patch", 0.35, 0.351, 85, 2.1),
    ("patch", 0.45, 0.452, 82, 2.15),
    ("wanda-2-4", 0.5, 0.5, 50, 9.0),
    ("admm-2-4", 0.5, 0.5, 52, 8.0),
    ("leap", 0.5, 0.5, 80, 2.2),
]
POINTS = {
    name: {"method": method, "amount": amount, "tokens": tokens, "share": tokens / 102400}
    for name, method, amount, tokens in [
        ("admm", "admm", "as it is", 16384),
        ("admm-128-sequences", "admm", "128 sequences", 16384),
        ("leap-25-steps", "leap", "25 steps", 51200),
        ("leap", "leap", "50 steps", 102400),
    ]
}
VARIANTS = {"variants": {"base": "leap", "variants": {"short": {"steps": 2}}}}


CONTEXT = Context("test", points=POINTS, study=VARIANTS)


def cells(name: str, models: tuple[str, ...]) -> Results:
    """Invented results for a figure."""
    if name == "patterns":
        found = [
            ran(method, accuracy / 100, ppl, str(target), model, achieved=achieved)
            for model, (method, target, achieved, accuracy, ppl) in product(models, OF_PATTERNS)
        ]
        return results(found, {"piqa": {}}, PATTERNS)
    if name == "ablations":
        places = enumerate(product(models, ["leap", "leap-short"], range(3)))
        found = [ran(method, 0.5, 9 + n / 10, "0.6", m, seed) for n, (m, method, seed) in places]
        return results(found, {"piqa": {}})
    methods = POINTS if name in OF_POINTS else METHODS
    sparsities = ["0.6"] if name == "tokens" else ["0.5", "0.6"]
    pruned = product(models, methods, sparsities)
    found = [ran("dense", 0.9, 2.0, model=m) for m in models]
    found += [ran(method, sparsity=s, model=model) for model, method, s in pruned]
    return results(found, {"piqa": {}})


@pytest.fixture(scope="module")
def drawing(tmp_path_factory):
    """One of the suite's figures for these models, drawn once."""

    @cache
    def drawing(name: str, *models: str) -> Figure:
        folder = tmp_path_factory.mktemp(name)
        if name in OF_RESULTS:
            return drawn(name, CONTEXT, results=cells(name, models))
        if name == "training":
            return drawn(name, journals=[journal(folder / model, model=model) for model in models])
        places = product(models, METHODS, (0.5, 0.6))
        manifests = [file.manifest for p in places for file in made(folder, *p).values()]
        if name == "density":
            return drawn(name, manifests=[m for m in manifests if "/leap/" in str(m)])
        masks = [manifest.with_name("mask.safetensors") for manifest in manifests]
        for mask in masks:
            save_masks({"x": torch.ones(2, 4).bool()}, mask)
        return drawn(name, manifests=manifests, masks=masks)

    return drawing


@pytest.mark.parametrize("models", [["one"], ["one", "two", "three"]])
@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_as_wide_as_a_column_or_the_page_and_its_type_is_read(drawing, name, models):
    figure = drawing(name, *models)
    assert figure.get_figwidth() in (COLUMN_INCHES, PAGE_INCHES)
    assert figure.get_figheight() < 9
    with style():
        figure.draw_without_rendering()
        written = [text for text in figure.findobj(Text) if text.get_text()]
        assert min(text.get_fontsize() for text in written) >= 7
        # numbers of an axis that are out of sight are texts as well
        for text in (text for text in written if re.search("[A-Za-z]", text.get_text())):
            extent = text.get_window_extent()
            assert extent.x0 > -1 and extent.x1 < figure.bbox.x1 + 1, text.get_text()


@pytest.mark.parametrize("name", ["cost", "gain", "patterns", "quality", "sweep", "tokens"])
def test_panels_of_a_measure_have_one_scale(drawing, name):
    axes = drawing(name, "one", "two", "three").axes
    for row in (axes[i : i + 3] for i in range(0, len(axes), 3)):
        for scale in ("get_xlim", "get_ylim"):
            assert len({getattr(each, scale)() for each in row}) == 1


def test_the_sparsities_of_a_sweep_are_where_they_belong(drawing):
    """Nothing is moved sideways on an axis of numbers to keep it apart from something else."""
    for axes in drawing("sweep", "one").axes:
        for line in (line for line in axes.lines if line.get_marker() not in ("None", "_", "|")):
            assert line.get_xdata().tolist() in ([0.5, 0.6], [0, 1])


def test_patterns_are_categories_with_a_row_for_each_density(drawing):
    accuracy, perplexity = drawing("patterns", "one").axes
    assert [label.get_text() for label in accuracy.get_yticklabels()] == [
        "PATCH: dense or 2:4, 65 % kept",
        "PATCH: dense or 2:4, 55 % kept",
        "Wanda: 2:4, 50 % kept",
        "ADMM: 2:4, 50 % kept",
        "LEAP: free, 50 % kept",
    ]
    values = [bars.lines[0].get_xydata()[0].tolist() for bars in perplexity.containers]
    assert values == [[2.1, 0], [2.15, 1], [9, 2], [8, 3], [2.2, 4]]


@pytest.mark.parametrize("name", ["cost", "gain", "quality"])
def test_no_dot_hides_another(drawing, name):
    """Not even where all methods have the same numbers at all sparsities."""
    figure = drawing(name, "one")
    for axes in figure.axes:
        dots = [bars.lines[0] for bars in axes.containers]
        heights = sorted(axes.transData.transform(dot.get_xydata()[0])[1] for dot in dots)
        assert len(heights) > 3
        largest = max(dot.get_markersize() for dot in dots) / 72 * figure.dpi
        assert min(above - below for below, above in pairwise(heights)) > 0.8 * largest


def test_a_look_is_the_schemas_and_open_under_n_of_m():
    looks = method_looks(["dense", "wanda", "wanda-2-4", "leap"])
    assert list(looks) == ["wanda", "wanda-2-4", "leap"], "the dense model is a line"
    assert looks["wanda"] == Look("#56B4E9", "s", (0, (4, 1.5)))
    assert looks["wanda-2-4"] == Look("#56B4E9", "s", (0, (4, 1.5)), filled=False)
    assert looks["leap"] == Look("#D55E00", "*", "-") == method_looks(["leap", "zeta"])["leap"]
    assert method_looks(["zeta", "alpha"]) == method_looks(["alpha", "zeta"])
    many = method_looks([f"method-{number:02d}" for number in range(20)])
    assert len(many) == 20, "more unknown methods than spare looks still get one each"


def test_methods_models_and_layers_differ_in_colour_and_marker():
    methods = [*known_methods(), *(f"new-{i}" for i in range(6))]
    looks = [*method_looks(methods).values(), *shades([str(i) for i in range(7)]).values()]
    assert len({to_rgb(look.colour) for look in looks}) == len(looks)
    for alike in (looks[:-7], looks[-7:]):
        assert len({look.marker for look in alike}) == len(alike)
    # rec. 601: shades are ordered, and the next one is told apart in grey
    grey = [np.dot(to_rgb(look.colour), (0.299, 0.587, 0.114)) for look in looks[-7:]]
    assert min(abs(one - other) for one, other in combinations(grey, 2)) > 0.04
    assert all(one.dashes != other.dashes for one, other in pairwise(looks[-7:]))

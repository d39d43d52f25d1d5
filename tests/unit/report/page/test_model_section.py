"""The sections of models in the page's HTML, which is whole."""

import re
from html.parser import HTMLParser

import pytest
import yaml

from suite.report.page.model_section import model_sections
from suite.tables.evaluations import read_cells
from tests.unit.report.example_page import ACCURACY, evaluation, manifest

EMPTY = {"meta", "link", "br", "img"}


class Tree(HTMLParser):
    """Refuses tags that do not match; keeps what a test looks for."""

    def __init__(self):
        super().__init__()
        self.open, self.ids = [], []

    def handle_starttag(self, tag, attributes):
        self.ids += [value for name, value in attributes if name == "id"]
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, self.getpos()


def test_the_html_is_whole_and_names_are_given_once(page):
    tree = Tree()
    tree.feed(page.read_text())
    assert tree.open == []
    assert len(set(tree.ids)) == len(tree.ids)
    assert {"model-0", "cells-0", *(f"cell-{i}" for i in range(len(ACCURACY)))} <= set(tree.ids)


def test_bars_on_the_page_are_those_of_the_evaluations(page):
    panels = re.findall(r"<svg[^>]*accuracy in percent by method.*?</svg>", page.read_text(), re.S)
    assert len(panels) == 7
    for panel in panels:
        full = float(re.findall(r'<text x="([\d.]+)" y="\d+">100</text>', panel)[0])
        tips = re.findall(r"<title>(\w+), [^<]*: ([\d.]+) ± ", panel)
        lengths = map(float, re.findall(r'<rect class="bar" y="3" width="([\d.]+)"', panel))
        assert tips == [("Wanda", "50.00"), ("ADMM", "70.00"), ("LEAP", "65.00")]
        for (_, percent), length in zip(tips, lengths, strict=True):
            assert length == pytest.approx(full * float(percent) / 100, abs=0.1)
        dense = float(re.findall(r'class="dense" d="M([\d.]+) ', panel)[0])
        assert dense == pytest.approx(0.9 * full, abs=0.1)


def test_maps_curves_and_what_made_the_numbers_are_on_the_page(page):
    text = page.read_text()
    assert 'style="--much:80" title="Block 0, q: 60.00 % kept, +10.00 points">60.0</td>' in text
    assert 'class="mark under" style="--much:100" title="Block 1, q: 37.50 % kept' in text
    assert "the strongest colour stands for 12.5 points" in text
    assert "<title>Sparsity 0.5, step 3: 2.00</title>" in text
    assert "0.5: 4.00 to 2.00" in text
    assert ">12.5</td>" in text and ">2.00</td>" in text
    assert ">A &lt;GPU&gt;</td>" in text and ">0123456-dirty</td>" in text
    assert "layer_sparsity" not in text


def test_every_model_has_its_section_with_its_own_cells(tmp_path):
    files = []
    for model in ("b", "a"):
        (tmp_path / model).mkdir()
        files += [evaluation(tmp_path / model, method, model=model) for method in ACCURACY]
    manifests = {"a/leap/0.5": manifest(tmp_path)}
    second, first = model_sections(read_cells(files), files, manifests, [])
    assert (second.name, first.name) == ("b", "a"), "in the order of the results"
    assert [cell.place for cell in second.cells] == [0, 1, 2, 3]
    assert [cell.place for cell in first.cells] == [4, 5, 6, 7]
    assert {cell.result.cell.model for cell in first.cells} == {"a"}
    assert first.summary == "dense 90.00 %, LEAP 65.00 % at 0.5"
    assert len(first.maps) == 1 and second.maps == [] and first.charts == []
    facts = yaml.safe_load(first.cells[-1].text)
    assert facts["manifest"]["pruning"]["settings"] == {"steps": 4}
    assert facts["evaluation"]["git_commit"] == "abc"

"""The sections of models in the page's HTML, which is whole."""

import yaml

from suite.report.page.model_section import model_sections
from tests.unit.made import Made
from tests.unit.report.example_page import ACCURACY, collected_example, example, manifests
from tests.unit.report.html_tree import parse


def test_the_html_is_whole_and_names_are_given_once(page):
    ids = [e.attributes["id"] for e in parse(page.read_text()).walk() if "id" in e.attributes]
    assert len(set(ids)) == len(ids)
    assert {"model-0", "cells-0", *(f"cell-{i}" for i in range(len(ACCURACY)))} <= set(ids)


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
    files: Made = {}
    for model in ("b", "a"):
        files |= example(tmp_path, model)
    of_leap = {path: file for path, file in manifests(files).items() if "a/leap" in path}
    second, first = model_sections(collected_example(files), of_leap, [], "leap")
    assert (second.name, first.name) == ("b", "a"), "in the order of the results"
    assert [cell.place for cell in second.cells] == [0, 1, 2, 3]
    assert [cell.place for cell in first.cells] == [4, 5, 6, 7]
    assert first.cells[-1].label == "a, LEAP, sparsity 0.5"
    assert first.summary == "dense 90.00 %, LEAP 65.00 % at 0.5"
    assert len(first.maps) == 1 and second.maps == [] and first.charts == []
    facts = yaml.safe_load(first.cells[-1].text)
    assert facts["manifest"]["pruning"]["settings"] == {"steps": 4}
    assert facts["evaluation"]["commit"] == "abc"

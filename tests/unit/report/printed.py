"""Numbers as the page prints them, against what they are printed of."""

import math
import re

import pytest

from suite.plan.methods import method_label
from tests.unit.report.example_grid import METHODS
from tests.unit.report.html_tree import Element

METHOD_OF = {method_label(method): method for method in ("dense", *METHODS)}
NUMBER = r"[+-]?\d+(?:\.\d+)?(?:e[+-]\d+)?"

# a text, a number, or a number with its error
Expected = str | float | tuple[float, float]


def is_printed(text: str, value: float) -> bool:
    """Whether `text` is `value` as it is rounded there."""
    if math.isnan(value):
        return text == "–"
    if text == "< 0.001":
        return 0 <= value < 0.001
    if "e" in text:
        return text == f"{value:.1e}"
    return abs(float(text) - value) <= 0.5000001 * 10 ** -len(text.partition(".")[2])


def check_row(row: dict[str, Element], expected: dict[str, Expected]) -> None:
    """Every cell of a row, and the numbers that it is sorted by, both by heading."""
    where = {heading: element.text for heading, element in row.items()}
    assert row.keys() == expected.keys()
    for heading, element in row.items():
        _check_cell(element, expected[heading], (heading, where))


def _check_cell(element: Element, expected: Expected, where: object) -> None:
    if isinstance(expected, str):
        assert element.text == expected, where
        return
    values = expected if isinstance(expected, tuple) else (expected,)
    texts = element.text.split(" ± ")
    assert len(texts) == len(values), where
    assert all(map(is_printed, texts, values)), (where, expected)
    if math.isnan(values[0]):
        assert "data-sort" not in element.attributes, where
    else:
        assert float(element.attributes["data-sort"]) == pytest.approx(values[0], rel=1e-8), where


def check_sentence(text: str, *expected: float) -> None:
    """All numbers of a text, in their order."""
    found = re.findall(NUMBER, text)
    assert len(found) == len(expected), text
    assert all(map(is_printed, found, expected)), (text, expected)

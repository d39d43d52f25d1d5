"""Bytes to send to someone who has the dense checkpoint, counted by hand."""

import pytest

from leap_suite.artifacts.files import read_json
from leap_suite.results.shipped import shipped_bytes
from tests.conftest import ROOT

MASK = {"weights": 1001, "survivors": 401, "kept_weights_changed": False, "dtype": "float32"}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, 126),  # 1001 bits
        ({"kept_weights_changed": True}, 126 + 401 * 4),
        ({"kept_weights_changed": True, "dtype": "bfloat16"}, 126 + 401 * 2),
        ({"changed_parameters": 30}, 126 + 30 * 4),
        ({"kept_weights_changed": True, "changed_parameters": 30}, 126 + 431 * 4),
        ({"changed_parameters": 30, "dtype": "float16"}, 126 + 30 * 2),
    ],
)
def test_a_bit_a_weight_and_the_numbers_that_were_changed(facts, expected):
    assert shipped_bytes({**MASK, **facts}) == expected


@pytest.mark.parametrize(("method", "changes"), [("leap", False), ("reconstruct", True)])
def test_tracked_manifests_are_counted(method, changes):
    folder = ROOT / "results/examples/claim/hardened/smollm2-135m"
    weights = 106_168_320
    expected = weights // 8 + changes * weights // 2 * 2
    assert shipped_bytes(read_json(folder / method / "0.5/manifest.json")) == expected

"""Measured speed beside quality: rows against numbers worked out by hand, table and figure."""

import csv
import json
import math

import pytest

from leap_suite.figures.speed import speed as speed_figure
from leap_suite.results.speeds import speeds
from leap_suite.tables.context import Context
from leap_suite.tables.speed import speed, speed_rows
from tests.unit.made import collected, made

MODEL = "qwen"
CONTEXT = Context("own")
PATTERNS = {"dense": "dense", "wanda": "unstructured", "leap": "unstructured"}


def round_of(size, speed_1, speed_8, first, peak=1000):
    """What one process measured."""
    return {
        "first_token_seconds": first,
        "tokens_per_second": {"1": speed_1, "8": speed_8},
        "peak_bytes": peak,
        "parameter_bytes": size,
    }


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A dense and a pruned cell; one load of the machine a round, of which the second is heavy."""
    folder = tmp_path_factory.mktemp("speed")
    dense = [round_of(200, 10.0, 60.0, None), round_of(200, 5.0, 30.0, None)]
    wide = [round_of(400, 6.0, 80.0, 0.2), round_of(400, 4.0, 30.0, 0.4)]
    packed = [round_of(120, 16.0, 64.0, 0.1, 800), round_of(120, 9.0, 33.0, 0.4, 900)]
    csr = [round_of(300, 2.0, 8.0, 0.5), round_of(300, 1.0, 3.0, 1.0)]
    dense_ways = {"bfloat16": dense, "float32": wide}
    cells = {
        "dense": ("0.0", dense_ways),
        "wanda": ("0.5", {**dense_ways, "bitmask": packed, "csr": csr}),
    }
    found = []
    for method, (sparsity, ways) in cells.items():
        rounds = {way: {"file_bytes": 1, "rounds": of} for way, of in ways.items()}
        content = {"model": MODEL, "method": method, "sparsity": sparsity, "seed": 0}
        found.append(folder / f"{method}.json")
        found[-1].write_text(json.dumps({**content, "ways": rounds}))
    return found


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cells")
    accuracies = {("dense", 0): 0.8, ("wanda", 0): 0.5, ("leap", 0): 0.6, ("leap", 1): 0.7}
    cells = {}
    for (method, seed), accuracy in accuracies.items():
        task = {"acc": accuracy, "acc_stderr": 0.01, "samples": 9, "version": "1"}
        cells |= made(folder, MODEL, method, 0.5, seed, tasks={"piqa": task})
    return collected(cells, patterns=PATTERNS)


def test_gains_are_over_the_best_dense_way_of_the_same_round(files):
    found = speeds(files).set_index(["method", "way"])
    assert [*found.index] == [
        ("dense", "bfloat16"), ("dense", "float32"), ("wanda", "bitmask"), ("wanda", "csr")
    ]  # fmt: skip
    packed = found.loc[("wanda", "bitmask")]
    assert (packed["weight_bytes"], packed["byte_share"], packed["peak_bytes"]) == (120, 0.6, 850)
    assert packed["speed_1"] == 12.5
    assert packed["gain_1"] == pytest.approx((16 / 10 + 9 / 5) / 2)
    assert packed["gain_1_spread"] == pytest.approx((9 / 5 - 16 / 10) / 2)
    assert packed["gain_8"] == pytest.approx((64 / 80 + 33 / 30) / 2)
    # of float32 alone, since bfloat16 was not measured
    assert packed["first_token_gain"] == pytest.approx((2 + 1) / 2)
    assert found.loc[("wanda", "csr"), "gain_1"] == pytest.approx(0.2)
    assert math.isnan(found.loc[("dense", "bfloat16"), "gain_1"])
    assert math.isnan(found.loc[("dense", "bfloat16"), "first_token_seconds"])
    assert found.loc[("dense", "float32"), "first_token_seconds"] == pytest.approx(0.3)


def test_a_measured_cell_stands_for_all_methods_of_its_pattern(files, study):
    rows = speed_rows(study, files)
    named = [*zip(rows["method"], rows["way"], rows["sparsity"], strict=True)]
    assert named == [
        ("dense", "bfloat16", "0.0"),
        ("dense", "float32", "0.0"),
        ("wanda", "bitmask", "0.5"),
        ("leap", "bitmask", "0.5"),
        ("", "csr", "0.5"),
    ]
    assert rows["average"].tolist()[:4] == pytest.approx([80, 80, 50, 65])
    assert math.isnan(rows["average"][4])
    assert rows["speed_1"].tolist()[2:4] == [12.5, 12.5]


def test_table_and_figure(files, study):
    texts = speed(study, files, CONTEXT)
    first, *_ = csv.DictReader(texts["csv"].splitlines())
    assert (first["method"], first["way"], first["gain_1"]) == ("dense", "bfloat16", "")
    lines = texts["md"].splitlines()
    assert "### qwen" in lines
    packed = (
        "| LEAP | 0.5 | packed | 65.00 ± 1.00 | 9.00 | 120 B | 60.0 | 850 B | 0.250 | 1.50 ± 0.50 "
        "| 12.5 | 1.70 ± 0.10 | 48.5 | 0.95 ± 0.15 |"
    )
    assert packed in lines
    assert any(line.startswith("| any | 0.5 | CSR, float32 | – | – | 300 B |") for line in lines)
    figure = speed_figure(study, files, CONTEXT)
    assert [axes.get_xlabel() for axes in figure.axes] == [
        "Tokens a second, one text", "Bytes of the weights"
    ]  # fmt: skip
    drawn = [tuple(line.get_xdata()) for line in figure.axes[0].get_lines()]
    assert (12.5,) in drawn and (7.5,) in drawn
    assert all(axes.get_xlim()[0] == 0 for axes in figure.axes)

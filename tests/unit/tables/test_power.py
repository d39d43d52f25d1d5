"""Smallest detectable difference of a number of items, against random draws of items."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from leap_suite.artifacts.items import write_items
from leap_suite.results.frame import ITEM
from leap_suite.results.statistics import compare
from leap_suite.tables.power import _plan, smallest_difference, standard_error, table, variances
from tests.conftest import ROOT

# chances that one alone is right, the other alone, of two tasks
CHANCES = {"piqa": (0.20, 0.12), "mmlu": (0.10, 0.09)}
ITEMS = {"piqa": 400, "mmlu": 900}


def drawn(seed, items=ITEMS):
    """Scores of two methods; every second item is of another part of its task."""
    generator = np.random.default_rng(seed)
    keys = [(task, "ab"[n % 2], n) for task, count in items.items() for n in range(count)]
    index = pd.MultiIndex.from_tuples(keys, names=ITEM)
    one, other = (index.get_level_values(0).map(lambda t, k=k: CHANCES[t][k]) for k in (0, 1))
    draw = generator.random(len(index))
    first, second = draw < one, (draw >= one) & (draw < one + other)
    both = ~first & ~second
    return [pd.DataFrame({0: (right | both) * 1.0}, index) for right in (first, second)]


def test_variance_and_error_are_those_of_items_differences_and_of_the_paired_test():
    first, second = drawn(0)
    paired = compare(first, second)
    found = variances(paired)
    assert standard_error(found, ITEMS) == pytest.approx(paired.standard_error, rel=1e-9)
    for task, variance in found.items():
        difference = (first - second).loc[task][0]
        assert variance == pytest.approx(np.var(difference, ddof=1), rel=1e-9)


def test_the_smallest_difference_is_seen_in_four_of_five_draws():
    variance = {c: a + b - (a - b) ** 2 for c, (a, b) in CHANCES.items()}
    true = 100 * sum(a - b for a, b in CHANCES.values()) / len(CHANCES)
    # the number of items at which the true difference is the smallest one
    scale = (smallest_difference(variance, ITEMS) / true) ** 2
    items = {task: round(count * scale) for task, count in ITEMS.items()}
    assert smallest_difference(variance, items) == pytest.approx(true, rel=0.01)
    seen = [compare(*drawn(seed, items)).p_value < 0.05 for seed in range(200)]
    assert np.mean(seen) == pytest.approx(0.8, abs=0.085)  # three standard errors of 200 draws


def test_the_command_prints_the_items_asked_and_planned(tmp_path):
    files = [tmp_path / name for name in ("first", "second")]
    for file, scores in zip(files, drawn(2), strict=True):
        items = {}
        for (task, part, item), score in scores[0].items():
            items.setdefault(task, {}).setdefault(part, {})[item] = int(score)
        write_items(items, file)

    def run(*plans):
        command = [sys.executable, "-m", "leap_suite.tables.power", *map(str, files), *plans]
        return subprocess.run(command, cwd=ROOT / "workflow", text=True, capture_output=True)

    lines = run("mmlu=3600,piqa=1600", "piqa=1").stdout.strip().splitlines()
    _, _, asked, larger, _ = (line.split(" | ") for line in lines)
    assert asked[:3] == ["| 400", "900", "1,300"]
    assert larger[:3] == ["| 1,600", "3,600", "5,200"]
    # four times the items, half the error
    assert float(larger[3]) == pytest.approx(float(asked[3]) / 2, abs=0.01)
    refused = run("piqa=many")
    assert refused.returncode == 1 and refused.stderr.startswith("'piqa=many' is no plan")
    assert len(refused.stderr.splitlines()) == 1


@pytest.mark.parametrize("wrong", ["piqa", "piqa=0"])
def test_malformed_plans_and_unknown_items_are_refused(wrong):
    with pytest.raises(ValueError, match=f"'{wrong}' is no plan"):
        _plan(wrong)
    first, _ = drawn(3)
    with pytest.raises(ValueError, match="no items of arc: there are piqa, mmlu"):
        table(compare(first, first), [{"arc": 3}])
    with pytest.raises(ValueError, match="two items"):
        variances(compare(first[:1], first[:1]))

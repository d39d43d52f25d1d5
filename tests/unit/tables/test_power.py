"""How small a difference a number of items can show, against drawing the items."""

import random
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from suite.artifacts.items import Items, write_items
from suite.tables.paired import compare
from suite.tables.power import smallest_difference, standard_error, table, variances

ROOT = Path(__file__).parents[3]
# chances that one alone is right, the other alone, of two tasks
CHANCES = {"piqa": (0.20, 0.12), "mmlu": (0.10, 0.09)}
ITEMS = {"piqa": 400, "mmlu": 900}


def drawn(generator: random.Random, items: dict[str, int]) -> tuple[Items, Items]:
    first: Items = {}
    second: Items = {}
    for column, (one, other) in CHANCES.items():
        first[column], second[column] = {"a": {}, "b": {}}, {"a": {}, "b": {}}
        for number in range(items[column]):
            task, chance = "ab"[number % 2], generator.random()
            right = (1, 0) if chance < one else (0, 1) if chance < one + other else (1, 1)
            first[column][task][number], second[column][task][number] = right
    return first, second


def test_the_error_is_that_of_the_paired_test():
    first, second = drawn(random.Random(0), ITEMS)
    paired = compare([first], [second])
    assert standard_error(variances(paired), ITEMS) == pytest.approx(
        paired.standard_error, rel=1e-9
    )


def test_the_variance_is_that_of_an_items_difference():
    first, second = drawn(random.Random(4), ITEMS)
    for column, found in variances(compare([first], [second])).items():
        differences = [
            right - second[column][task][item]
            for task, answers in first[column].items()
            for item, right in answers.items()
        ]
        assert found == pytest.approx(statistics.variance(differences), rel=1e-9)


def test_the_smallest_difference_is_seen_in_four_of_five_draws():
    generator = random.Random(1)
    variance = {c: a + b - (a - b) ** 2 for c, (a, b) in CHANCES.items()}
    true = 100 * sum(a - b for a, b in CHANCES.values()) / len(CHANCES)
    # the number of items at which the true difference is the smallest one
    scale = (smallest_difference(variance, ITEMS) / true) ** 2
    items = {column: round(count * scale) for column, count in ITEMS.items()}
    assert smallest_difference(variance, items) == pytest.approx(true, rel=0.01)
    draws = 400
    seen = sum(
        compare([first], [second]).p_value < 0.05
        for first, second in (drawn(generator, items) for _ in range(draws))
    )
    assert seen / draws == pytest.approx(0.8, abs=0.06)  # three standard errors of 400 draws


def test_the_table_has_what_was_asked_and_every_plan(tmp_path):
    first, second = drawn(random.Random(2), ITEMS)
    names = [str(tmp_path / "first"), str(tmp_path / "second")]
    write_items(first, Path(names[0]))
    write_items(second, Path(names[1]))
    command = [sys.executable, "-m", "suite.tables.power", *names, "mmlu=3600,piqa=1600", "piqa=1"]
    run = subprocess.run(command, cwd=ROOT / "workflow", text=True, capture_output=True, check=True)
    heads, _, asked, larger, _ = (line.split(" | ") for line in run.stdout.strip().splitlines())
    assert heads[:3] == ["| piqa", "mmlu", "Items in all"]
    assert asked[:3] == ["| 400", "900", "1,300"]
    assert larger[:3] == ["| 1,600", "3,600", "5,200"]
    # four times the items, half the error
    assert float(larger[3]) == pytest.approx(float(asked[3]) / 2, abs=0.01)


def test_what_cannot_be_compared_is_refused():
    first, second = drawn(random.Random(3), ITEMS)
    del second["mmlu"]["a"][0]
    with pytest.raises(ValueError, match="the same items"):
        compare([first], [second])
    with pytest.raises(ValueError, match="no items of arc"):
        table(compare([first], [first]), [{"arc": 3}])
    one = {"piqa": {"piqa": {0: 1}}}
    with pytest.raises(ValueError, match="two items"):
        variances(compare([one], [one]))


@pytest.mark.parametrize("wrong", ["piqa", "piqa=0", "piqa=many", "arc=3"])
def test_a_plan_that_cannot_be_is_said_in_one_line(tmp_path, wrong):
    names = [str(tmp_path / "first"), str(tmp_path / "second")]
    for items, name in zip(drawn(random.Random(2), ITEMS), names, strict=True):
        write_items(items, Path(name))
    command = [sys.executable, "-m", "suite.tables.power", *names, wrong]
    run = subprocess.run(command, cwd=ROOT / "workflow", text=True, capture_output=True)
    assert run.returncode == 1 and len(run.stderr.splitlines()) == 1
    assert wrong.split("=")[0] in run.stderr

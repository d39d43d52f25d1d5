"""A row a method: means and errors against numpy, LEAP's lead, what is not there, the tables."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from suite.plan.cell import DENSE, Cell
from suite.tables.comparison import (
    comparison_rows,
    write_comparison_csv,
    write_comparison_markdown,
)
from suite.tables.evaluations import TASKS, Evaluated
from suite.tables.seconds import Seconds, mean_seconds, read_seconds

MODELS, SPARSITIES = ["qwen", "llama"], ["0.5", "0.6"]
CHANCE = 25.0
COUNT = 40  # items a task


def cells(methods: dict[str, list[int]]) -> list[Cell]:
    """Dense and every method with its seeds on every model and sparsity."""
    found = []
    for model in MODELS:
        found.append(Cell.dense(model))
        for sparsity in SPARSITIES:
            for method, seeds in methods.items():
                found += [Cell(model, method, sparsity, seed) for seed in seeds]
    return found


def answered(cell: Cell, random: np.random.Generator) -> np.ndarray:
    """Which items are right, [tasks, items]."""
    chance = {DENSE: 0.9, "leap": 0.8}.get(cell.method, 0.5)
    return (random.random((len(TASKS), COUNT)) < chance).astype(int)


def evaluated(cell: Cell, right: np.ndarray, perplexity: float, task: str = "") -> Evaluated:
    return Evaluated(
        cell, 0.0 if cell.method == DENSE else cell.target, perplexity, 0.1,
        accuracy={t: 100 * float(r.mean()) for t, r in zip(TASKS, right, strict=True)},
        stderr=dict.fromkeys(TASKS, 1.0), norm={},
        protocol={t: (f"{task}{t}", "1", COUNT) for t in TASKS},
        chance=dict.fromkeys(TASKS, CHANCE),
    )  # fmt: skip


def items(right: np.ndarray) -> dict:
    return {t: {t: dict(enumerate(r.tolist()))} for t, r in zip(TASKS, right, strict=True)}


class Study:
    """A study whose cells answered at random."""

    def __init__(self, methods: dict[str, list[int]], task: str = "") -> None:
        random = np.random.default_rng(3)
        self.right = {cell: answered(cell, random) for cell in cells(methods)}
        self.perplexity = {cell: 2 + 10 * random.random() for cell in self.right}
        self.results = [
            evaluated(cell, right, self.perplexity[cell], task)
            for cell, right in self.right.items()
        ]
        self.items = {cell: items(right) for cell, right in self.right.items()}
        self.seconds = {
            cell: Seconds(10 * random.random(), random.random())
            for cell in self.right
            if cell.method != DENSE
        }

    def rows(self):
        return {row.method: row for row in comparison_rows(self.results, self.items, self.seconds)}

    def of(self, method: str) -> np.ndarray:
        """What is right in the mean over seeds, [cells, tasks, items]."""
        places: dict[tuple[str, str], list[np.ndarray]] = {}
        for cell, right in self.right.items():
            if cell.method == method:
                places.setdefault((cell.model, cell.sparsity), []).append(right)
        return np.array([np.mean(seeds, axis=0) for seeds in places.values()])


METHODS = {"wanda": [0], "leap-per-block": [0, 1], "leap": [0, 1]}


def clustered(values_KTN: np.ndarray) -> float:
    """The error of the mean of tasks' means over cells that share their items."""
    per_item_TN = values_KTN.mean(axis=0)
    variances = per_item_TN.var(axis=1, ddof=1) / per_item_TN.shape[1]
    return 100 * math.sqrt(variances.sum()) / len(per_item_TN)


def test_means_over_seeds_then_cells_and_their_errors() -> None:
    study = Study(METHODS)
    rows = study.rows()
    assert list(rows) == [DENSE, "wanda", "leap-per-block", "leap"]
    assert {name: row.cells for name, row in rows.items()} == {
        DENSE: 2, "wanda": 4, "leap-per-block": 4, "leap": 4,
    }  # fmt: skip
    for method, row in rows.items():
        values = study.of(method)
        assert row.average == pytest.approx(100 * values.mean())
        assert row.average_stderr == pytest.approx(clustered(values))
        ppl = [p for cell, p in study.perplexity.items() if cell.method == method]
        # every cell has as many seeds
        assert row.ppl == pytest.approx(np.exp(np.mean(np.log(ppl))))


def test_the_lead_is_leaps_over_the_method_item_by_item() -> None:
    study = Study(METHODS)
    for method in ("wanda", "leap-per-block"):
        difference = study.of("leap") - study.of(method)
        row = study.rows()[method]
        assert row.leap_lead == pytest.approx(100 * difference.mean())
        assert row.leap_lead_stderr == pytest.approx(clustered(difference))
    assert math.isnan(study.rows()["leap"].leap_lead)
    assert math.isnan(study.rows()[DENSE].leap_lead), "dense has no cell at LEAP's sparsities"


def test_a_lead_is_over_the_cells_that_both_have() -> None:
    study = Study(METHODS)
    missing = [cell for cell in study.right if cell.method == "wanda" and cell.sparsity == "0.6"]
    study.results = [result for result in study.results if result.cell not in missing]
    for cell in missing:
        del study.right[cell]
    row = study.rows()["wanda"]
    difference = study.of("leap")[::2] - study.of("wanda")
    assert row.cells == 2
    assert row.leap_lead == pytest.approx(100 * difference.mean())
    without = Study({"wanda": [0]}).rows()["wanda"]
    assert math.isnan(without.leap_lead) and math.isnan(without.leap_lead_stderr)


def test_recovered_shares_are_averaged_and_seconds_too() -> None:
    study = Study(METHODS)
    shares, wall, cpu = [], [], []
    for cell, right in study.right.items():
        if cell.method == "wanda":
            dense = 100 * study.right[Cell.dense(cell.model)].mean()
            shares.append(100 * (100 * right.mean() - CHANCE) / (dense - CHANCE))
            wall.append(study.seconds[cell].wall)
            cpu.append(study.seconds[cell].cpu)
    row = study.rows()["wanda"]
    assert row.recovered_share == pytest.approx(np.mean(shares))
    assert (row.wall_seconds, row.cpu_seconds) == pytest.approx((np.mean(wall), np.mean(cpu)))
    dense = study.rows()[DENSE]
    assert dense.recovered_share == pytest.approx(100)
    assert math.isnan(dense.wall_seconds) and math.isnan(dense.cpu_seconds)


def test_other_items_are_refused() -> None:
    study = Study(METHODS)
    study.items[Cell("qwen", "wanda", "0.5")]["piqa"]["piqa"].pop(0)
    with pytest.raises(ValueError, match="did not answer the same items"):
        study.rows()


def test_tables_have_all_numbers_and_leave_out_what_there_is_not(tmp_path: Path) -> None:
    study = Study(METHODS, task="mini_")
    rows = list(study.rows().values())
    write_comparison_csv(rows, tmp_path / "a.csv")
    write_comparison_markdown(rows, tmp_path / "a.md", "mini")
    with (tmp_path / "a.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert [row["method"] for row in read] == [DENSE, "wanda", "leap-per-block", "leap"]
    assert {row["tasks"] for row in read} == {"generated"}
    assert float(read[1]["leap_lead"]) == pytest.approx(rows[1].leap_lead)
    assert read[3]["leap_lead"] == read[0]["cpu_seconds"] == ""
    text = (tmp_path / "a.md").read_text()
    assert text.startswith("**Generated tasks") and "Scale `mini`" in text
    assert "| Mini-task accuracy (%) |" in text
    wanda = rows[1]
    assert (
        f"| Wanda | 4 | {wanda.average:.2f} ± {wanda.average_stderr:.2f} | {wanda.ppl:.2f} | "
        f"{wanda.recovered_share:.2f} | {wanda.leap_lead:+.2f} ± {wanda.leap_lead_stderr:.2f} | "
        f"{wanda.wall_seconds:.1f} | {wanda.cpu_seconds:.1f} |"
    ) in text.splitlines()
    assert any(line.startswith("| LEAP | 4 ") and " | – | " in line for line in text.splitlines())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.md"]


def test_seconds_are_those_of_the_manifests(tmp_path: Path) -> None:
    cost = {"wall_time_seconds": 3.5, "cpu_seconds": 7.0}
    place = {"model": "qwen", "method": "leap", "target_sparsity": 0.5}
    manifests = []
    for seed, recorded in enumerate([cost, {"wall_time_seconds": 4.5}]):
        manifests.append(tmp_path / f"{seed}.json")
        content = {**place, "seed": seed, "pruning": {"cost": recorded}}
        manifests[-1].write_text(json.dumps(content))
    seconds = read_seconds(manifests)
    first, second = (Cell("qwen", "leap", "0.5", seed) for seed in (0, 1))
    assert seconds[first] == Seconds(3.5, 7.0)
    assert math.isnan(seconds[second].cpu), "of before it was recorded, or of foreign code"
    both = mean_seconds([first, second], seconds)
    assert both.wall == 4.0 and math.isnan(both.cpu)

"""What README and docs say of the claim on SmolLM2-135M, computed from the tracked results."""

import math
import re
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from leap_suite.artifacts.files import read_json
from leap_suite.plan.config import scale_settings
from leap_suite.plan.methods import is_control
from leap_suite.report.documentation import SEEDS
from leap_suite.results.frame import ITEM, read_items
from leap_suite.results.statistics import Paired, combine, compare, two_sided
from tests.conftest import ROOT

README, RESULTS, STATISTICS = "README.md", "docs/results.md", "docs/statistics.md"
SEARCHES = "docs/searches.md"
CLAIM = ROOT / "results/examples/claim"
TASKS = {"piqa": "PIQA", "arc_easy": "ARC-E", "arc_challenge": "ARC-C", "winogrande": "WinoGrande",
         "openbookqa": "OpenBookQA", "mmlu": "MMLU"}  # fmt: skip


def assert_said(text: str, *pages: str) -> None:
    """Fails where a page lacks the text; line breaks do not count."""
    for page in pages:
        assert text in prose(page), page


def prose(page: str) -> str:
    return " ".join((ROOT / page).read_text(encoding="utf-8").split())


def evaluation(method: str, cell: str, run: Path = CLAIM) -> Mapping[str, Any]:
    return read_json(run / "evaluations/smollm2-135m" / method / f"{cell}.json")


def average(method: str, cell: str, run: Path = CLAIM) -> float:
    tasks = evaluation(method, cell, run)["tasks"].values()
    return 100 * statistics.fmean(task["acc"] for task in tasks)


def scores(method: str, *cells: str, run: Path = CLAIM) -> pd.DataFrame:
    """A row an item, a column a cell."""
    files = [run / "items/smollm2-135m" / method / f"{cell}.csv.gz" for cell in cells]
    items = [read_items(file).set_index(ITEM)["score"] for file in files]
    found = pd.concat(items, axis="columns", keys=cells)
    return found[found.index.get_level_values("measure").isin(TASKS)]  # not acc_norm


def lead(method: str, *cells: str) -> Paired:
    """LEAP's over a method, one cell of LEAP for each seed."""
    return compare(scores("leap", *cells), scores(method, cells[0]))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    adjusted, largest = {}, 0.0
    for place, name in enumerate(sorted(p_values, key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[name]))
        adjusted[name] = largest
    return adjusted


def signed(value: float) -> str:
    """With a sign unless it is printed as 0.0."""
    return f"{value:+z.1f}".replace("+0.0", "0.0").replace("-", "−")


def test_the_number_of_methods_is_that_of_the_grid():
    """ADMM with two schedules is one method, and a control is none."""
    grid = [name for name in scale_settings("mini")["grid"]["methods"] if not is_control(name)]
    methods = {"admm" if name == "admm-cubic" else name for name in grid}
    assert len(methods) == 10
    assert_said("LEAP and nine other methods", README)
    assert_said("ten methods and a control", README)
    assert len(methods - {"leap", "elsa", "reconstruct", "finetune"}) == 6
    assert_said("all six layer-wise methods", README)
    assert_said("six layer-wise methods", README, RESULTS)


@pytest.fixture
def seeds() -> Paired:
    """The second training of LEAP at 0.6 minus the first."""
    return compare(scores("leap", "0.6/seed-1"), scores("leap", "0.6"))


def test_two_trainings_are_as_far_apart_as_is_said(seeds):
    apart, error = f"{seeds.difference:.2f}", f"{seeds.standard_error:.2f}"
    assert_said(f"{apart} points higher", README)
    assert_said(f"{apart} ± {error} points more", RESULTS)
    assert_said(f"d = {apart} and SE_d = {error}", STATISTICS)
    mean = statistics.fmean(average("leap", cell) for cell in ("0.6", "0.6/seed-1"))
    assert_said(f"mean of both: {mean:.2f}", README)
    assert_said(f"mean of both {mean:.2f}", RESULTS)


def test_the_error_of_seeds_is_added_to_that_of_items(seeds):
    variance = (seeds.difference**2 - seeds.standard_error**2) / 2
    between = f"{math.sqrt(variance):.2f}"
    assert_said(f"between seeds of {between}", RESULTS)
    assert_said(f"σ = {between}", STATISTICS)
    both = combine([lead("admm", "0.5"), lead("admm", "0.6")])
    for paired, trainings in (
        (both, 2), (lead("admm", "0.5"), 1), (lead("admm", "0.6", "0.6/seed-1"), 2)
    ):  # fmt: skip
        error = math.sqrt(paired.standard_error**2 + variance / trainings)
        assert_said(f"{paired.difference:.2f} ± {error:.2f}", RESULTS)
        assert_said(f"(p = {two_sided(paired.difference, error):.2f})", RESULTS)

    error = math.sqrt(both.standard_error**2 + variance / 2)
    p_value = f"{two_sided(both.difference, error):.2f}"
    assert_said(f"√({both.standard_error:.2f}² + {between}² / 2) = {error:.2f}", STATISTICS)
    assert_said(f"p = {p_value} in place of {both.p_value:.3f}", STATISTICS)
    assert_said(f"p is about {p_value}", README)
    larger = seeds.difference**2 / 2
    error = math.sqrt(both.standard_error**2 + larger / 2)
    text = f"σ is {math.sqrt(larger):.2f} and p is {two_sided(both.difference, error):.2f}"
    assert_said(text, STATISTICS)


def test_the_quality_beside_speed_is_that_of_the_claim():
    cells = pd.read_csv(CLAIM / "main.csv").set_index(["method", "sparsity"])
    for cell, weights in (
        (("dense", 0.0), "dense, the faster of bfloat16 and float32"),
        (("leap", 0.5), "LEAP, 50 % zeros, packed"),
        (("leap", 0.6), "LEAP, 60 % zeros, packed"),
    ):
        average, ppl = cells.loc[cell, ["average", "ppl"]].astype(float)
        assert_said(f"| {weights} | {average:.2f} | {ppl:.2f} |", "docs/faster.md")


def test_flips_are_as_is_said():
    cells = pd.read_csv(CLAIM / "main.csv").set_index(["sparsity", "method"])["flips"]
    ours, admm, rebuilt = (cells[0.5, name] for name in ("leap", "admm", "reconstruct"))
    assert_said(f"{ours:.1f} % for LEAP at 0.5, against {admm:.1f} % for ADMM", RESULTS)
    assert_said(f"and {rebuilt:.1f} % for reconstruction", RESULTS)
    ours, admm, rebuilt = (cells[0.6, name] for name in ("leap", "admm", "reconstruct"))
    assert_said(f"at 0.6 they are {ours:.1f}, {admm:.1f} and {rebuilt:.1f} %", RESULTS)
    more = cells[0.5][cells[0.5] > cells[0.5, "leap"]]
    assert set(more.index) == {"magnitude", "random-mask"}


def test_multiple_tests_are_corrected_as_is_said():
    p_values = {
        f"{method} at {heading}": lead(method, *cells).p_value
        for method in ("admm", "alps", "reconstruct")
        for heading, cells in SEEDS.items()
        if (CLAIM / "items/smollm2-135m" / method / f"{cells[0]}.csv.gz").exists()
    }
    assert len(p_values) == 11
    assert_said("eleven p values", RESULTS)
    two = holm({cell: p_values[f"admm at {cell}"] for cell in ("0.5", "0.6")})
    assert_said(f"p = {two['0.5']:.3f} at 0.5 and {two['0.6']:.3f} at 0.6", RESULTS)
    assert {name for name, value in holm(p_values).items() if value < 0.05} == {
        "admm at 0.6, both seeds", "admm at 0.7",
        "alps at 0.5", "alps at 0.6, both seeds", "alps at 0.7",
    }  # fmt: skip
    assert_said(
        "five stay below 0.05: ADMM at 0.6 with both seeds and at 0.7, "
        "ALPS at 0.5, at 0.6 with both seeds and at 0.7",
        RESULTS,
    )


@pytest.mark.parametrize(("task", "name"), TASKS.items())
def test_the_dense_model_is_as_far_above_chance_as_is_said(task, name):
    dense = evaluation("dense", "0.0")["tasks"][task]
    above = signed(100 * (dense["acc"] - dense["chance"]))
    assert re.search(rf"{re.escape(above)} (points above chance )?on {name}", prose(RESULTS))
    significant = dense["acc"] - dense["chance"] > 2 * dense["acc_stderr"]
    assert significant == (name in ("PIQA", "ARC-E"))


def test_tasks_carry_the_shares_of_the_lead_that_are_said():
    shares = [shares_of_the_lead(sparsity) for sparsity in ("0.5", "0.6")]
    easy, piqa = ([each[task] for each in shares] for task in ("arc_easy", "piqa"))
    others = [100 - one - other for one, other in zip(easy, piqa, strict=True)]
    text = (
        f"ARC-E carries {easy[0]:.0f} % at 0.5 and {easy[1]:.0f} % at 0.6, "
        f"PIQA {piqa[0]:.0f} % and {piqa[1]:.0f} %, "
        f"and the other four tasks together {others[0]:.0f} % and {others[1]:.0f} %"
    )
    assert_said(text.replace("-37", "−37"), RESULTS)
    assert_said(
        f"ARC-E, contributes {easy[0]:.0f} % of the lead at 0.5 and all of it at 0.6", README
    )
    assert easy[1] > 100


def shares_of_the_lead(sparsity: str) -> dict[str, float]:
    """Percent of LEAP's lead over ADMM that each task carries."""
    leap, admm = (evaluation(method, sparsity)["tasks"] for method in ("leap", "admm"))
    leads = {task: leap[task]["acc"] - admm[task]["acc"] for task in TASKS}
    return {task: 100 * lead / sum(leads.values()) for task, lead in leads.items()}


def test_elsa_is_as_far_behind_as_is_said():
    leap, admm = (compare(scores(m, "0.5"), scores("elsa", "0.5")) for m in ("leap", "admm"))
    assert_said(
        f"{leap.difference:.2f} ± {leap.standard_error:.2f} points behind LEAP, and "
        f"{admm.difference:.2f} ± {admm.standard_error:.2f} behind ADMM",
        RESULTS,
    )


@pytest.mark.parametrize(
    ("text", "method", "cost"),
    [("ADMM took {} to {} s", "admm", "wall_time_seconds"),
     ("with its cubic schedule {} to {} s", "admm-cubic", "wall_time_seconds"),
     ("ALPS {} to {} s", "alps", "wall_time_seconds"),
     ("LEAP's 750 steps took {} to {} s", "leap", "training_seconds"),
     ("its whole job {} to {} s", "leap", "wall_time_seconds")],
)  # fmt: skip
def test_jobs_took_the_time_that_is_said(text, method, cost):
    manifests = (CLAIM / "hardened/smollm2-135m" / method).rglob("manifest.json")
    seconds = [read_json(file)["pruning"]["cost"][cost] for file in manifests]
    assert_said(text.format(f"{min(seconds):.0f}", f"{max(seconds):.0f}"), SEARCHES)


def test_as_many_settings_are_tried_as_is_said():
    def tried(scale: str, name: str) -> int:
        return 1 + len(scale_settings(scale)["studies"][f"{name}_search"]["variants"]["variants"])

    def row(label: str, *names: str) -> str:
        counts = ["; ".join(str(tried(scale, name)) for name in names)
                  for scale in ("mini", "laptop")]  # fmt: skip
        return f"| {label} | {counts[0]} | {counts[1]} |"

    assert_said(row("LEAP", "leap"), SEARCHES)
    assert_said(
        row("fine-tuning; LEAP's mask and its weights", "finetune", "leap_finetune"), SEARCHES
    )
    assert_said(row("gradual magnitude pruning", "gmp"), SEARCHES)
    assert_said(row("ELSA", "elsa"), SEARCHES)
    assert_said(row("reconstruction", "reconstruct"), SEARCHES)
    layer_wise = [
        tried("laptop", name) for name in ("admm", "alps", "wanda", "sparsegpt", "thanos")
    ]
    assert_said("| ADMM; ALPS | – | {}; {} |".format(*layer_wise[:2]), SEARCHES)
    assert_said("| Wanda; SparseGPT; Thanos | – | {}; {}; {} |".format(*layer_wise[2:]), SEARCHES)

"""Ablations: numbers against numpy, what is refused, the order of rows, the table, the figure."""

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from suite.figures.ablations import ablations
from suite.figures.style import shades
from suite.plan.cell import Cell
from suite.tables.ablations import Row, ablation_rows, write_ablation_csv, write_ablation_markdown
from suite.tables.evaluations import TASKS, Evaluated, read_cells

MODELS = ["qwen-tiny", "llama_tiny"]
VARIANTS = (
    "gumbel random-start magnitude-start no-magnitude l1 per-block hard threshold short long"
).split()
SEEDS = [0, 1, 2]


def cell(
    model: str, method: str, seed: int, ppl: float, accuracy: float, **changes: Any
) -> Evaluated:
    """An evaluated cell whose tasks have accuracies around `accuracy`, which is their mean."""
    spread = np.linspace(-2, 2, len(TASKS))
    tasks = {task: accuracy + float(shift) for task, shift in zip(TASKS, spread, strict=True)}
    stderr = dict.fromkeys(TASKS, 1.0)
    place = Cell(model, method, "0.6", seed)
    found = Evaluated(place, 0.6, ppl, 0.1, tasks, stderr, {}, {})
    return replace(found, **changes)


def numbers(
    models: Sequence[str] = MODELS, variants: Sequence[str] = VARIANTS, seeds: int = len(SEEDS)
) -> tuple[np.ndarray, np.ndarray]:
    """Perplexities and accuracies by model, method (the base first) and seed."""
    random = np.random.default_rng(7)
    shape = (len(models), len(variants) + 1, seeds)
    # A seed shifts all methods alike, so paired differences vary less than the methods do.
    shift = random.normal(size=(len(models), 1, seeds))
    ppl = 12 + shift + random.normal(scale=0.3, size=shape) + np.arange(shape[1])[None, :, None] / 9
    return ppl, 55 - 3 * shift + random.normal(size=shape)


def grid(
    models: Sequence[str] = MODELS, variants: Sequence[str] = VARIANTS, seeds: int = len(SEEDS)
) -> list[Evaluated]:
    ppl, accuracy = numbers(models, variants, seeds)
    methods = ["leap", *(f"leap-{variant}" for variant in variants)]
    return [
        cell(model, method, seed, float(ppl[m, v, seed]), float(accuracy[m, v, seed]))
        for seed in range(seeds)
        for m, model in enumerate(models)
        for v, method in enumerate(methods)
    ]


def table_rows(markdown: str) -> list[list[str]]:
    rows = [line.strip("| ").split(" | ") for line in markdown.splitlines() if line[:1] == "|"]
    return [row for row in rows if row[0] not in ("Variant", "---")]


def draw(folder: Path, rows: Sequence[Row]) -> str:
    """The figure of these rows as SVG."""
    write_ablation_csv(rows, folder / "ablations.csv")
    ablations(folder / "ablations.csv", [folder / "figure.svg"], note="")
    return (folder / "figure.svg").read_text()


# Rows


def test_models_come_as_given_and_the_base_before_its_variants() -> None:
    rows = ablation_rows(grid(), "leap", VARIANTS)
    order = [(row.model, row.variant) for row in rows]
    assert order == [(model, variant) for model in MODELS for variant in ("(base)", *VARIANTS)]
    assert [row.method for row in rows[:2]] == ["leap", "leap-gumbel"]
    backwards = ablation_rows(grid(), "leap", VARIANTS[::-1])
    assert [row.variant for row in backwards[1:11]] == VARIANTS[::-1]


def test_means_deviations_and_paired_differences() -> None:
    rows = ablation_rows(grid(), "leap", VARIANTS)
    for name, values in zip(("ppl", "average"), numbers(), strict=True):
        differences = values - values[:, :1]
        expected = {
            name: values.mean(axis=2),
            f"{name}_std": values.std(axis=2, ddof=1),
            f"{name}_difference": differences.mean(axis=2),
            f"{name}_difference_stderr": differences.std(axis=2, ddof=1) / np.sqrt(3),
        }
        for field, value in expected.items():
            assert [getattr(row, field) for row in rows] == pytest.approx(value.ravel()), field
    assert {row.seeds for row in rows} == {3}


def test_pairs_are_by_seed_whatever_the_order_of_the_cells() -> None:
    in_order = ablation_rows(grid(), "leap", VARIANTS)
    by_method = sorted(
        grid(), key=lambda one: (one.cell.model != MODELS[0], one.cell.method, -one.cell.seed)
    )
    assert ablation_rows(by_method, "leap", VARIANTS) == in_order


def test_a_shift_that_all_seeds_share_has_no_error() -> None:
    cells = [cell("qwen", "leap", seed, 10 + seed, 50 - 4 * seed) for seed in SEEDS]
    cells += [cell("qwen", "leap-hard", seed, 12 + seed, 49 - 4 * seed) for seed in SEEDS]
    _, hard = ablation_rows(cells, "leap", ["hard"])
    assert (hard.ppl_difference, hard.average_difference) == pytest.approx((2, -1))
    assert (hard.ppl_difference_stderr, hard.average_difference_stderr) == pytest.approx((0, 0))
    assert (hard.ppl_std, hard.average_std) == pytest.approx((1, 4))


def test_achieved_sparsity_is_the_mean_over_seeds() -> None:
    cells = [cell("qwen", "leap", seed, 10, 50) for seed in SEEDS]
    for seed in SEEDS:
        sparsity = 0.57 + seed / 100
        cells.append(cell("qwen", "leap-threshold", seed, 9, 51, achieved_sparsity=sparsity))
    base, threshold = ablation_rows(cells, "leap", ["threshold"])
    assert (base.achieved_sparsity, threshold.achieved_sparsity) == pytest.approx((0.6, 0.58))


@pytest.mark.parametrize("method", ["leap", "leap-hard"])
def test_missing_cells_are_named(method: str) -> None:
    def kept(one: Evaluated) -> bool:
        return one.cell != Cell("llama_tiny", method, "0.6", 1)

    with pytest.raises(ValueError, match=f"missing: {method} on llama_tiny with seed 1$"):
        ablation_rows(list(filter(kept, grid())), "leap", VARIANTS)


def test_a_missing_variant_and_another_seed_are_named() -> None:
    message = "missing: leap-other on llama_tiny with seed 0; .*leap-other on qwen-tiny with seed 2"
    with pytest.raises(ValueError, match=message):
        ablation_rows(grid(), "leap", [*VARIANTS, "other"])
    pair = [cell("qwen", "leap", 0, 10, 50), cell("qwen", "leap-hard", 1, 10, 50)]
    with pytest.raises(ValueError, match=r"leap on qwen with seed 1; leap-hard on qwen with seed"):
        ablation_rows(pair, "leap", ["hard"])


def test_cells_that_do_not_belong_are_refused() -> None:
    base = cell("qwen", "leap", 0, 10, 50)
    for other, message in [
        (cell("qwen", "wanda", 0, 10, 50), "wanda on qwen with seed 0: the method is not among"),
        (
            replace(base, cell=Cell("qwen", "leap", "0.5", 1)),
            "seed 1: sparsity 0.5, but 0.6 elsewhere",
        ),
        (base, "leap on qwen with seed 0: occurs twice"),
    ]:
        with pytest.raises(ValueError, match=message):
            ablation_rows([base, other], "leap", [])
    with pytest.raises(ValueError, match="no cells given"):
        ablation_rows([], "leap", [])


# Tables


def test_csv_holds_every_row_and_leaves_what_is_not_defined_empty(tmp_path: Path) -> None:
    cells = [cell("qwen", "leap", 0, 10, 50), cell("qwen", "leap-hard", 0, 12.5, 49.25)]
    write_ablation_csv(ablation_rows(cells, "leap", ["hard"]), tmp_path / "ablations.csv")
    assert (tmp_path / "ablations.csv").read_text().splitlines() == [
        "model,method,variant,sparsity,seeds,tasks,achieved_sparsity,ppl,ppl_std,ppl_difference,"
        "ppl_difference_stderr,average,average_std,average_difference,average_difference_stderr",
        "qwen,leap,(base),0.6,1,real,0.6,10,,0,,50,,0,",
        "qwen,leap-hard,hard,0.6,1,real,0.6,12.5,,2.5,,49.25,,-0.75,",
    ]
    write_ablation_csv(ablation_rows(grid(), "leap", VARIANTS), tmp_path / "ablations.csv")
    with (tmp_path / "ablations.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 22
    assert [path.name for path in tmp_path.iterdir()] == ["ablations.csv"]


def test_markdown_prints_means_errors_and_differences(tmp_path: Path) -> None:
    cells = [cell("qwen_tiny", "leap", seed, 10 + seed, 50 + seed) for seed in SEEDS]
    for seed in SEEDS:
        ppl, accuracy = 10.5 + 2 * seed, 48.5 + 2 * seed
        cells.append(cell("qwen_tiny", "leap-no-noise", seed, ppl, accuracy))
    cells = [replace(c, achieved_sparsity=0.57126) if "-" in c.cell.method else c for c in cells]
    rows = ablation_rows(cells, "leap", ["no-noise"])
    write_ablation_markdown(rows, tmp_path / "ablations.md", "mini", "leap")
    text = (tmp_path / "ablations.md").read_text()
    assert text.startswith("Scale `mini`. Variants of LEAP at sparsity 0.6: ")
    assert "over 3 seeds" in text and r"### qwen\_tiny" in text
    assert table_rows(text) == [
        ["LEAP", "60.00", "11.000 ± 1.000", "–", "51.00 ± 1.00", "–"],
        ["no noise", "57.13", "12.500 ± 2.000", "+1.500 ± 0.577", "50.50 ± 2.00", "-0.50 ± 0.58"],
    ]


def test_markdown_of_one_seed_and_of_broken_models(tmp_path: Path) -> None:
    cells = [cell("qwen", "leap", 0, 10, 50), cell("qwen", "leap-hard", 0, 2.5e6, 49.999)]
    rows = ablation_rows(cells, "leap", ["hard"])
    write_ablation_markdown(rows, tmp_path / "ablations.md", "mini", "leap")
    text = (tmp_path / "ablations.md").read_text()
    assert "One seed." in text and "±" not in text
    # A difference too small to be printed is not "-0.00".
    assert table_rows(text)[1] == ["hard", "60.00", "2.5e+06", "+2.5e+06", "50.00", "+0.00"]


def test_markdown_of_generated_tasks_says_so(tmp_path: Path) -> None:
    protocol = {task: (f"mini_{task}", "1", 500) for task in TASKS}
    cells = [cell("qwen", "leap", 0, 10, 50, protocol=protocol)]
    rows = ablation_rows(cells, "leap", [])
    write_ablation_markdown(rows, tmp_path / "ablations.md", "mini", "leap")
    text = (tmp_path / "ablations.md").read_text()
    assert text.startswith("**Generated tasks for miniature models: not PIQA")
    assert "| Mini-task accuracy (%) |" in text
    write_ablation_csv(rows, tmp_path / "ablations.csv")
    assert ",generated," in (tmp_path / "ablations.csv").read_text()


# Figure


def test_figure_names_everything_and_is_repeatable(tmp_path: Path) -> None:
    table = tmp_path / "ablations.csv"
    write_ablation_csv(ablation_rows(grid(), "leap", VARIANTS), table)
    first, second = (
        [tmp_path / name / f"figure.{suffix}" for suffix in ("svg", "pdf", "png")]
        for name in ("first", "second")
    )
    ablations(table, first, note="")
    ablations(table, second, note="")
    svg, pdf, png = (path.read_bytes() for path in first)
    assert (svg[:5], pdf[:5], png[:4]) == (b"<?xml", b"%PDF-", b"\x89PNG")
    assert [path.read_bytes() for path in second] == [svg, pdf, png]
    assert sorted(first[0].parent.iterdir()) == sorted(first), "no temporary file may remain"
    for text in [
        *MODELS,
        "Perplexity – lower is better",
        "Average accuracy (%) – higher is better",
    ]:
        assert f">{text}<" in svg.decode(), text
    assert "over 3 seeds; vertical lines: LEAP" in svg.decode()


def test_dots_lie_at_their_names_base_on_top_and_at_their_values(tmp_path: Path) -> None:
    rows = ablation_rows(grid(["qwen"]), "leap", VARIANTS)
    svg = draw(tmp_path, rows)
    names = ["LEAP", *(variant.replace("-", " ") for variant in VARIANTS)]
    texts = re.findall(r' y="([\d.]+)"[^>]*>([^<]+)<', svg)
    heights = {name: float(height) for height, name in texts}
    dots = re.findall(r'<use [^>]*x="([\d.]+)" y="([\d.]+)" style="fill: [^>]*stroke: #000000', svg)
    across, down = np.array(dots, dtype=float).reshape(2, len(rows), 2).transpose(2, 0, 1)
    lowered = np.array([heights[name] for name in names]) - down
    assert np.ptp(lowered) < 0.01, "each dot is as high as its name, but for half a letter"
    assert (np.diff(down) > 0).all(), "in order, from the top down"
    for panel, name in zip(across, ("ppl", "average"), strict=True):
        values = [getattr(row, name) for row in rows]
        assert np.corrcoef(panel, values)[0, 1] == pytest.approx(1, abs=1e-6)


def test_figure_of_one_model_has_no_legend(tmp_path: Path) -> None:
    rows = ablation_rows(grid(["qwen"]), "leap", VARIANTS)
    svg = draw(tmp_path, rows)
    assert ">qwen<" not in svg and "vertical line: LEAP" in svg


def test_figure_of_one_seed_and_no_variant(tmp_path: Path) -> None:
    assert "One seed; vertical line: LEAP" in draw(
        tmp_path, ablation_rows(grid(["qwen"], [], seeds=1), "leap", [])
    )


@pytest.mark.parametrize(("factor", "logarithmic"), [(2.9, False), (3.1, True), (1e5, True)])
def test_perplexities_far_apart_are_on_a_log_axis(
    tmp_path: Path, factor: float, logarithmic: bool
) -> None:
    cells = [cell("qwen", "leap", seed, 10, 50) for seed in SEEDS]
    # The deviation is larger than the mean: the bar would reach below zero.
    cells += [
        cell("qwen", "leap-hard", seed, 10 * factor * share, 40)
        for seed, share in zip(SEEDS, (0.01, 0.01, 2.98), strict=True)
    ]
    svg = draw(tmp_path, ablation_rows(cells, "leap", ["hard"]))
    assert (">Perplexity (log scale) – lower is better<" in svg) == logarithmic


@pytest.mark.parametrize(
    ("achieved", "said"),
    [((0.5712, 0.5712), ["57.12"]), ((0.58, 0.5712), ["57.12–58.00"]), ((0.5999, 0.6), [])],
)
def test_figure_says_where_the_sparsity_is_another(
    tmp_path: Path, achieved: tuple[float, float], said: list[str]
) -> None:
    by_model = dict(zip(MODELS, achieved, strict=True))
    cells = [
        replace(c, achieved_sparsity=by_model[c.cell.model])
        if c.cell.method == "leap-threshold"
        else c
        for c in grid()
    ]
    svg = draw(tmp_path, ablation_rows(cells, "leap", VARIANTS))
    assert re.findall(r"\(([\d.–]+) % sparse\)", svg) == said


def test_models_differ_without_colour() -> None:
    looks = shades([f"model-{number}" for number in range(6)]).values()
    assert len({look.marker for look in looks}) == len({look.colour for look in looks}) == 6


def test_unusable_tables_are_refused(tmp_path: Path) -> None:
    table = tmp_path / "ablations.csv"
    table.write_text("model,method,variant,seeds,ppl,ppl_std,average\n")
    with pytest.raises(ValueError, match=r"ablations\.csv: no column achieved_sparsity, average_s"):
        ablations(table, [tmp_path / "figure.svg"], note="")
    rows = ablation_rows(grid(), "leap", VARIANTS)
    write_ablation_csv(rows[1:], table)
    with pytest.raises(ValueError, match=r"ablations\.csv: the first row is not the base method"):
        ablations(table, [tmp_path / "figure.svg"], note="")


# Files


def evaluation(method: str, seed: int) -> dict[str, Any]:
    task = {"task": "mini", "acc": 0.5, "acc_stderr": 0.03, "samples": 500, "version": "1.0"}
    return {
        "model": "qwen",
        "method": method,
        "sparsity": "0.6",
        "seed": seed,
        "achieved_sparsity": 0.6,
        "perplexity": {"value": 10.0 + seed, "stderr": 0.1},
        "tasks": dict.fromkeys(TASKS, task),
    }


def test_rows_come_from_evaluation_files_that_are_comparable(tmp_path: Path) -> None:
    contents = [evaluation(method, seed) for method in ("leap", "leap-hard") for seed in (0, 1)]
    paths = [tmp_path / f"{number}.json" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_text(json.dumps(content))
    base, hard = ablation_rows(read_cells(paths), "leap", ["hard"])
    assert (base.ppl, base.average, hard.ppl_difference) == (10.5, 50.0, 0.0)
    contents[-1]["tasks"]["mmlu"] = {**contents[-1]["tasks"]["mmlu"], "samples": 100}
    paths[-1].write_text(json.dumps(contents[-1]))
    with pytest.raises(ValueError, match=r"3\.json: mmlu was asked as"):
        read_cells(paths)

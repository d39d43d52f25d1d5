"""Tables: what is refused, the order of rows, the numbers, bold, and escaping."""

import csv
import json
import math
import re
import shutil
import subprocess
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from suite.plan.methods import method_label
from suite.tables.evaluations import TASKS, Evaluated, main_table, read_cells
from suite.tables.main import write_csv, write_latex, write_markdown, write_tabular

MODELS = ["qwen_tiny", "llama-tiny"]
METHODS = ["wanda", "sparsegpt", "leap"]
WITHOUT_NORM = {"winogrande", "mmlu"}

Edit = Callable[[dict[str, Any]], object]


def evaluation(
    model: str = "llama-tiny",
    method: str = "wanda",
    sparsity: str = "0.5",
    seed: int = 0,
    acc: float = 0.5,
    perplexity: float = 10.0,
) -> dict[str, Any]:
    """An evaluation in which all six tasks have the accuracy `acc`."""
    tasks: dict[str, Any] = {}
    for task in TASKS:
        tasks[task] = {"acc": acc, "acc_stderr": 0.03, "samples": 500, "version": "1.0"}
        tasks[task]["task"] = f"mini_{task}"
        if task not in WITHOUT_NORM:
            tasks[task] |= {"acc_norm": acc + 0.01, "acc_norm_stderr": 0.03}
    return {
        "model": model,
        "method": method,
        "sparsity": sparsity,
        "seed": seed,
        "achieved_sparsity": float(sparsity),
        "perplexity": {"value": perplexity, "stderr": 0.1, "windows": 40, "length": 512},
        "tasks": tasks,
        "provenance": {},
    }


def with_chance(cell: dict[str, Any]) -> dict[str, Any]:
    """The evaluation with two choices an item in PIQA and WinoGrande, and four elsewhere."""
    for task, result in cell["tasks"].items():
        result["chance"] = 0.5 if task in ("piqa", "winogrande") else 0.25
    return cell


def save(folder: Path, *evaluations: dict[str, Any]) -> list[Path]:
    paths = [folder / f"{number}.json" for number in range(len(evaluations))]
    for path, content in zip(paths, evaluations, strict=True):
        path.write_text(json.dumps(content))
    return paths


def grid() -> list[dict[str, Any]]:
    """Both models, dense and three methods at two sparsities, in an order of no use."""
    cells = [evaluation(model, "dense", "0.0", acc=0.8, perplexity=5) for model in MODELS]
    for sparsity in ("0.6", "0.5"):
        for number, method in enumerate(["leap", "wanda", "sparsegpt"]):
            for model in MODELS:
                cells.append(evaluation(model, method, sparsity, acc=0.7 - number / 20))
    return cells


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def table_rows(markdown: str) -> list[list[str]]:
    """Cells of the body rows of every table in a Markdown text."""
    rows = [line.strip("| ").split(" | ") for line in markdown.splitlines() if line[:1] == "|"]
    return [row for row in rows if row[0] not in ("Method", "---")]


def test_csv_has_one_row_a_cell_in_the_order_of_the_paper(tmp_path: Path) -> None:
    table = main_table(save(tmp_path, *grid()), MODELS, METHODS)
    write_csv(table, tmp_path / "main.csv")
    rows = read_csv(tmp_path / "main.csv")
    one_model = [("dense", "0.0")] + [(m, s) for s in ("0.5", "0.6") for m in METHODS]
    assert len(rows) == len(grid()) == 14
    assert [(row["model"], row["method"], row["sparsity"]) for row in rows] == [
        (model, *cell) for model in MODELS for cell in one_model
    ]


def test_csv_columns(tmp_path: Path) -> None:
    write_csv(main_table(save(tmp_path, *grid()), MODELS, METHODS), tmp_path / "main.csv")
    assert list(read_csv(tmp_path / "main.csv")[0]) == [
        *("model", "method", "implementation", "sparsity", "seed", "tasks", "achieved_sparsity"),
        *("ppl", "ppl_stderr"),
        *("piqa", "arc_easy", "arc_challenge", "winogrande", "openbookqa", "mmlu", "average"),
        "recovered_share",
        *("piqa_stderr", "arc_easy_stderr", "arc_challenge_stderr", "winogrande_stderr"),
        *("openbookqa_stderr", "mmlu_stderr", "average_stderr"),
        *("piqa_norm", "arc_easy_norm", "arc_challenge_norm", "openbookqa_norm"),
        *("dtype", "versions", "pruning_dtype", "hardening_versions"),
    ]


def test_csv_numbers_are_percentages_and_the_plain_mean(tmp_path: Path) -> None:
    cell = evaluation(perplexity=12.25)
    for number, task in enumerate(TASKS):
        cell["tasks"][task]["acc"] = 0.57 + number / 100
    write_csv(main_table(save(tmp_path, cell), MODELS, METHODS), tmp_path / "main.csv")
    (row,) = read_csv(tmp_path / "main.csv")
    assert [row[task] for task in TASKS] == ["57", "58", "59", "60", "61", "62"]
    assert (row["average"], row["ppl"], row["sparsity"], row["seed"]) == (
        "59.5",
        "12.25",
        "0.5",
        "0",
    )
    assert row["piqa_stderr"] == "3" and row["piqa_norm"] == "51"
    assert row["ppl_stderr"] == "0.1"
    assert float(row["average_stderr"]) == pytest.approx(3 / math.sqrt(6))


def test_files_are_the_same_whatever_the_order_of_the_inputs(tmp_path: Path) -> None:
    paths = save(tmp_path, *grid())
    for name, order in (("first", paths), ("second", paths[::-1])):
        table = main_table(order, MODELS, METHODS)
        write_csv(table, tmp_path / name / "main.csv")
        write_markdown(table, tmp_path / name / "main.md", "mini")
        write_latex(table, tmp_path / name / "main.tex", "mini")
        write_tabular(table, tmp_path / name / "main_tabular.tex", "mini")
    for file in ("main.csv", "main.md", "main.tex", "main_tabular.tex"):
        first, second = (tmp_path / name / file for name in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()
    assert not list(tmp_path.glob("*/.*")), "no temporary file may remain"


def test_a_control_is_the_best_of_nothing_however_good_it_is(tmp_path: Path) -> None:
    lucky = evaluation(MODELS[0], "random-mask", "0.5", acc=0.9, perplexity=1)
    alone = evaluation(MODELS[0], "random-mask", "0.7", acc=0.9, perplexity=1)
    beside = evaluation(MODELS[0], "wanda", "0.7", acc=0.3, perplexity=9)
    methods = [*METHODS, "random-mask"]
    results = main_table(save(tmp_path, *grid(), lucky, alone, beside), MODELS, methods)
    write_markdown(results, tmp_path / "main.md", "mini")
    text = (tmp_path / "main.md").read_text()
    assert "Controls are the best of nothing." in text
    of_model = [row for row in table_rows(text) if row[1] in ("0.5", "0.7")]
    assert of_model[3] == ["Random mask", "0.5", *["90.00"] * 7, "–", "1.00"]
    assert of_model[2] == ["LEAP", "0.5", *["**70.00**"] * 7, "–", "**10.00**"]
    assert [row[0] for row in of_model[4:6]] == ["Wanda", "Random mask"]
    assert not any("**" in number for row in of_model[4:6] for number in row)


def test_whether_a_method_is_a_control_goes_by_what_it_is_a_variant_of(tmp_path: Path) -> None:
    named = {"coin": "random-mask", "random-mask-2-4": "wanda"}
    cells = [evaluation(method="wanda", acc=0.3), evaluation(method="sparsegpt", acc=0.2)]
    for accuracy, (method, implementation) in zip((0.9, 0.4), named.items(), strict=True):
        cell = evaluation(method=method, acc=accuracy, perplexity=1 / accuracy)
        masks = {"implementation": implementation}
        cells.append(cell | {"provenance": {"recipe": {"checkpoint": {"masks": masks}}}})
    results = main_table(save(tmp_path, *cells), MODELS, [*METHODS, *named])
    write_markdown(results, tmp_path / "main.md", "mini")
    write_csv(results, tmp_path / "main.csv")
    text = (tmp_path / "main.md").read_text()
    assert "Controls are the best of nothing." in text
    *_, coin, lookalike = table_rows(text)
    assert coin == ["coin", "0.5", *["90.00"] * 7, "–", "1.11"]
    assert lookalike == ["Random mask 2:4", "0.5", *["**40.00**"] * 7, "–", "**2.50**"]
    rows = read_csv(tmp_path / "main.csv")
    assert [row["implementation"] for row in rows] == ["", "", "random-mask", "wanda"]


def test_markdown_blocks_rows_and_bold(tmp_path: Path) -> None:
    write_markdown(
        main_table(save(tmp_path, *grid()), MODELS, METHODS), tmp_path / "main.md", "mini"
    )
    text = (tmp_path / "main.md").read_text()
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        r"### qwen\_tiny",
        "### llama-tiny",
    ]
    rows = table_rows(text)
    assert len(rows) == 14
    assert rows[0] == ["Dense", "0.0", *["80.00"] * 7, "–", "5.00"], "dense is never bold"
    # Same perplexity for every method: a tie, so all are bold; accuracy has one winner.
    assert rows[1] == ["Wanda", "0.5", *["65.00"] * 7, "–", "**10.00**"]
    assert rows[2] == ["SparseGPT", "0.5", *["60.00"] * 7, "–", "**10.00**"]
    assert rows[3] == ["LEAP", "0.5", *["**70.00**"] * 7, "–", "**10.00**"]


def test_bold_goes_by_what_is_printed_and_lower_perplexity(tmp_path: Path) -> None:
    paths = save(
        tmp_path,
        evaluation(method="wanda", acc=0.50001, perplexity=9.5),
        evaluation(method="leap", acc=0.50002, perplexity=11.5),
        evaluation(method="sparsegpt", acc=0.40, perplexity=10.5),
    )
    write_markdown(main_table(paths, MODELS, METHODS), tmp_path / "main.md", "mini")
    wanda, sparsegpt, leap = table_rows((tmp_path / "main.md").read_text())
    assert wanda[2:] == [*["**50.00**"] * 7, "–", "**9.50**"]
    assert sparsegpt[2:] == [*["40.00"] * 7, "–", "10.50"]
    assert leap[2:] == [*["**50.00**"] * 7, "–", "11.50"]


def test_several_seeds_become_mean_and_standard_deviation(tmp_path: Path) -> None:
    accuracies = (0.5, 0.6, 0.7)
    cells = [evaluation(seed=s, acc=a, perplexity=10 + s) for s, a in enumerate(accuracies)]
    cells.append(evaluation(method="leap", acc=0.4, perplexity=20))
    table = main_table(save(tmp_path, *cells), MODELS, METHODS)
    write_csv(table, tmp_path / "main.csv")
    write_markdown(table, tmp_path / "main.md", "mini")
    write_latex(table, tmp_path / "main.tex", "mini")
    assert [row["seed"] for row in read_csv(tmp_path / "main.csv")] == ["0", "1", "2", "0"]
    text = (tmp_path / "main.md").read_text()
    row, of_one_seed = table_rows(text)
    assert of_one_seed == ["LEAP", "0.5", *["40.00"] * 7, "–", "20.00"]
    assert row == ["Wanda", "0.5", *["**60.00** ± 10.00"] * 7, "–", "**11.00** ± 1.00"]
    assert "standard deviation" in text
    assert r"\textbf{60.00} $\pm$ 10.00" in (tmp_path / "main.tex").read_text()


def test_broken_models_keep_readable_perplexities(tmp_path: Path) -> None:
    paths = save(
        tmp_path,
        evaluation(method="wanda", perplexity=2.5e9),
        evaluation(method="leap", perplexity=123456.0),
    )
    write_markdown(main_table(paths, MODELS, METHODS), tmp_path / "main.md", "mini")
    wanda, leap = table_rows((tmp_path / "main.md").read_text())
    assert (wanda[-1], leap[-1]) == ("2.5e+09", "**1.2e+05**")


def test_latex_is_escaped_and_well_formed(tmp_path: Path) -> None:
    name = "a_b%c&d#e$f{g}h~i^j\\k"
    paths = save(tmp_path, evaluation(model=name), evaluation(method="new_method"))
    table = main_table(paths, [name, *MODELS], [*METHODS, "new_method"])
    write_latex(table, tmp_path / "main.tex", "mini")
    text = (tmp_path / "main.tex").read_text()
    assert r"a\_b\%c\&d\#e\$f\{g\}h\textasciitilde{}i\textasciicircum{}j\textbackslash{}k" in text
    assert r"new\_method & 0.5 &" in text
    unescaped = re.sub(r"\\[&%$#_{}]", "", text)
    assert unescaped.count("{") == unescaped.count("}")
    body = [line for line in unescaped.splitlines() if " & " in line]
    assert [line.count("&") for line in body if "generated" in line] == [5, 5], "one a head"
    assert {line.count("&") for line in body if "generated" not in line} == {10}
    assert text.count(r"\midrule") == 3, "one below each head, one between the two models"
    assert (
        "Scale mini." in text and "acc, in percent" in text and not re.search(r"(?<!\\)[%#_]", text)
    )
    assert r"\begin{longtable}" in text and text.endswith("\\end{longtable}\n\\endgroup\n")


def test_markdown_is_escaped(tmp_path: Path) -> None:
    table = main_table(save(tmp_path, evaluation(method="a|b_c")), MODELS, ["a|b_c"])
    write_markdown(table, tmp_path / "main.md", "mini")
    assert r"| a\|b\_c | 0.5 |" in (tmp_path / "main.md").read_text()


def with_real_tasks(cell: dict[str, Any]) -> dict[str, Any]:
    for task in TASKS:
        cell["tasks"][task]["task"] = task
    return cell


@pytest.mark.parametrize("generated", [True, False])
def test_generated_tasks_are_named_so_wherever_they_are_shown(
    tmp_path: Path, generated: bool
) -> None:
    cells = grid() if generated else [with_real_tasks(cell) for cell in grid()]
    table = main_table(save(tmp_path, *cells), MODELS, METHODS)
    write_csv(table, tmp_path / "main.csv")
    write_markdown(table, tmp_path / "main.md", "mini")
    write_latex(table, tmp_path / "main.tex", "mini")
    kinds = {row["tasks"] for row in read_csv(tmp_path / "main.csv")}
    assert kinds == {"generated" if generated else "real"}
    markdown = (tmp_path / "main.md").read_text()
    assert markdown.startswith("**Generated tasks for miniature models: not PIQA") == generated
    assert markdown.count("| mini-PIQA | mini-ARC-E |") == (2 if generated else 0), "a model each"
    assert markdown.count("| PIQA | ARC-E |") == (0 if generated else 2)
    latex = (tmp_path / "main.tex").read_text()
    bold = r"\caption{\textbf{Generated tasks for miniature models: not PIQA"
    assert (bold in latex) == generated
    heading = r"& & \multicolumn{6}{c}{generated miniature tasks} & & & \\"
    assert " ".join(latex.split()).count(heading) == (2 if generated else 0)


def test_the_tabular_has_a_table_a_model_and_a_block_a_sparsity(tmp_path: Path) -> None:
    cells = [*grid(), evaluation(MODELS[0], "leap", "0.6", seed=1, acc=0.8, perplexity=4338.6)]
    for cell in cells:
        cell["in_domain"] = {"value": 20.0, "stderr": 0.3}
    table = main_table(save(tmp_path, *map(with_chance, cells)), MODELS, METHODS)
    write_tabular(table, tmp_path / "main_tabular.tex", "mini")
    text = (tmp_path / "main_tabular.tex").read_text()
    first, second = text.split(r"\end{table*}")[:-1]
    assert r"\caption{\textbf{Generated tasks for miniature models: not PIQA" in first
    assert r"qwen\_tiny. Scale mini." in first and r"\label{tab:main-1}" in first
    assert "llama-tiny. Scale mini." in second and r"\label{tab:main-2}" in second
    assert "Means where several seeds were run." in first
    body = first.split(r"\toprule")[1].splitlines()[1:-1]
    assert body == [
        r" & \multicolumn{6}{c}{generated miniature tasks} &  &  \\",
        r"\cmidrule(lr){2-7}",
        r"Method & PIQA & ARC-E & ARC-C & WinoG. & OBQA & MMLU & Avg. & PPL \\",
        r"\midrule",
        rf"Dense & {' & '.join(['80.00'] * 7)} & 5.00 \\",
        r"\midrule",
        r"\multicolumn{9}{@{}l}{\textit{sparsity 0.5}} \\",
        rf"Wanda & {' & '.join(['65.00'] * 7)} & \textbf{{10.00}} \\",
        rf"SparseGPT & {' & '.join(['60.00'] * 7)} & \textbf{{10.00}} \\",
        rf"LEAP & {' & '.join([bold('70.00')] * 7)} & \textbf{{10.00}} \\",
        r"\midrule",
        r"\multicolumn{9}{@{}l}{\textit{sparsity 0.6}} \\",
        rf"Wanda & {' & '.join(['65.00'] * 7)} & \textbf{{10.00}} \\",
        rf"SparseGPT & {' & '.join(['60.00'] * 7)} & \textbf{{10.00}} \\",
        rf"LEAP & {' & '.join([bold('75.00')] * 7)} & 2174.3 \\",
        r"\bottomrule",
    ], "the mean of two seeds, and no spread"
    assert "pm" not in text and "Recovered" not in text and "n-domain" not in text


def bold(text: str) -> str:
    return rf"\textbf{{{text}}}"


def test_the_tabular_of_real_tasks_says_nothing_of_generated_ones(tmp_path: Path) -> None:
    cells = [with_real_tasks(cell) for cell in [*grid(), evaluation(method="random-mask")]]
    table = main_table(save(tmp_path, *cells), MODELS, [*METHODS, "random-mask"])
    write_tabular(table, tmp_path / "main_tabular.tex", "mini")
    text = (tmp_path / "main_tabular.tex").read_text()
    assert "enerated" not in text and "seeds" not in text
    assert text.count("Controls are the best of nothing.") == 2, "once a model"


def compiled(folder: Path, table: str, options: str = "") -> str:
    """What LaTeX says of a document with this table."""
    (folder / "page.tex").write_text(
        f"\\documentclass{options}{{article}}\n\\usepackage{{booktabs,longtable}}\n"
        f"\\begin{{document}}\n\\input{{{table}}}\n\\end{{document}}\n"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    for _ in range(3):  # longtable settles its widths over runs
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert run.returncode == 0, run.stdout
    return run.stdout


latex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")


@latex
@pytest.mark.heavy
@pytest.mark.parametrize("generated", [True, False])
def test_latex_of_the_papers_grid_compiles_and_fits_its_pages(
    tmp_path: Path, generated: bool
) -> None:
    table = papers_grid(tmp_path, generated)
    write_latex(table, tmp_path / "main.tex", "paper")
    output = compiled(tmp_path, "main.tex")
    assert not re.search("Overfull|too large|Warning", output), output
    assert "(2 pages" in output


@latex
@pytest.mark.heavy
@pytest.mark.parametrize("generated", [True, False])
def test_the_tabular_of_the_papers_grid_compiles_and_fits_two_columns(
    tmp_path: Path, generated: bool
) -> None:
    write_tabular(papers_grid(tmp_path, generated), tmp_path / "main_tabular.tex", "paper")
    output = compiled(tmp_path, "main_tabular.tex", "[twocolumn]")
    assert not re.search("Overfull|too large|Warning", output), output


def papers_grid(tmp_path: Path, generated: bool) -> list[Evaluated]:
    """Five models, dense and five methods at two sparsities, with the widest perplexities."""
    models = [f"model-{number}" for number in range(5)]
    methods = ["wanda", "sparsegpt", "thanos", "admm", "leap"]
    cells = [evaluation(model, "dense", "0.0") for model in models]
    for model, method, sparsity in product(models, methods, ["0.5", "0.6"]):
        cells.append(evaluation(model, method, sparsity, perplexity=123456.0))
    cells = cells if generated else [with_real_tasks(cell) for cell in cells]
    # all but the first dense one, so that a model has no shares
    cells[1:] = [with_chance(cell) for cell in cells[1:]]
    return main_table(save(tmp_path, *cells), models, methods)


@latex
@pytest.mark.heavy
def test_latex_of_the_patterns_fits_its_page(tmp_path: Path) -> None:
    patterns = {"dense": "dense", "sparsegpt": "2:4", "patch": "dense or 2:4", "leap": "free"}
    cells = [evaluation("m", "dense", "0.0")]
    cells += [evaluation("m", "patch", sparsity) for sparsity in ("0.35", "0.45")]
    cells += [evaluation("m", name, "0.5", perplexity=123456.0) for name in ("sparsegpt", "leap")]
    cells = [with_chance(cell) for cell in cells]
    table = main_table(save(tmp_path, *cells), ["m"], list(patterns))
    write_latex(table, tmp_path / "patterns.tex", "paper", patterns)
    output = compiled(tmp_path, "patterns.tex")
    assert not re.search("Overfull|too large|Warning", output), output


def test_recovered_share_is_in_all_three_tables_and_defined_where_printed(tmp_path: Path) -> None:
    paths = save(
        tmp_path,
        with_chance(evaluation(method="dense", sparsity="0.0", acc=0.75)),
        with_chance(evaluation(method="wanda", acc=0.5)),
        with_chance(evaluation(method="leap", acc=0.5, seed=0)),
        with_chance(evaluation(method="leap", acc=0.625, seed=1)),
    )
    table = main_table(paths, MODELS, METHODS)
    write_csv(table, tmp_path / "main.csv")
    write_markdown(table, tmp_path / "main.md", "mini")
    write_latex(table, tmp_path / "main.tex", "mini")
    # chance is (2 x 50 + 4 x 25) / 6 = 100/3: the dense model is 125/3 above it, 50 % are 50/3
    shares = [float(row["recovered_share"]) for row in read_csv(tmp_path / "main.csv")]
    assert shares == pytest.approx([100, 40, 40, 70])
    markdown, latex = ((tmp_path / f"main.{kind}").read_text() for kind in ("md", "tex"))
    assert [row[-2] for row in table_rows(markdown)] == ["100.00", "40.00", "**55.00** ± 21.21"]
    assert r"\textbf{55.00} $\pm$ 21.21" in latex
    for text in (markdown, latex):
        assert "Recovered: 100 (average - chance) / (dense average - chance); chance is" in text


def test_recovered_share_is_empty_without_chance(tmp_path: Path) -> None:
    cells = [evaluation(method="dense", sparsity="0.0"), evaluation()]
    write_csv(main_table(save(tmp_path, *cells), MODELS, METHODS), tmp_path / "main.csv")
    assert [row["recovered_share"] for row in read_csv(tmp_path / "main.csv")] == ["", ""]


def test_cells_of_other_chances_are_refused(tmp_path: Path) -> None:
    cells = [with_chance(evaluation()), with_chance(evaluation(method="leap"))]
    cells[1]["tasks"]["mmlu"]["chance"] = 0.2
    with pytest.raises(ValueError, match=r"1\.json: chance is .*: they answered other items"):
        main_table(save(tmp_path, *cells), MODELS, METHODS)


MALFORMED: dict[str, tuple[Edit, str]] = {
    "no model": (lambda e: e.pop("model"), "'model' is missing"),
    "no perplexity": (lambda e: e.pop("perplexity"), "'perplexity' is missing"),
    "perplexity is NaN": (lambda e: e["perplexity"].update(value=math.nan), "must be positive"),
    "perplexity overflows": (lambda e: e["perplexity"].update(value=math.inf), "and finite"),
    "sparsity is a number": (lambda e: e.update(sparsity=0.5), "sparsity must be of type str"),
    "sparsity is a word": (lambda e: e.update(sparsity="half"), "sparsity must be a number"),
    "dense is pruned": (lambda e: e.update(method="dense"), "belong together"),
    "seed is a bool": (lambda e: e.update(seed=True), "seed must be of type int"),
    "a task is missing": (lambda e: e["tasks"].pop("mmlu"), r"missing \['mmlu'\]"),
    "a task too many": (lambda e: e["tasks"].update(boolq={}), r"unexpected \['boolq'\]"),
    "accuracy in percent": (lambda e: e["tasks"]["piqa"].update(acc=71.0), "between 0 and 1"),
    "no stderr": (lambda e: e["tasks"]["piqa"].update(acc_stderr="N/A"), "acc_stderr must be"),
    "unknown model": (lambda e: e.update(model="other"), "model 'other' is not among"),
    "unknown method": (lambda e: e.update(method="other"), "method 'other' is not among"),
}


@pytest.mark.parametrize(("edit", "message"), MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_evaluations_are_refused_by_name(
    tmp_path: Path, edit: Edit, message: str
) -> None:
    cell = evaluation()
    edit(cell)
    with pytest.raises(ValueError, match=message) as caught:
        main_table(save(tmp_path, cell), MODELS, METHODS)
    assert "0.json" in str(caught.value)


def test_unreadable_files_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "list.json").write_text("[]")
    for name, message in (("absent", "No such file"), ("broken", "damaged"), ("list", "object")):
        with pytest.raises(ValueError, match=rf"{name}\.json.*{message}"):
            main_table([tmp_path / f"{name}.json"], MODELS, METHODS)
    with pytest.raises(ValueError, match="no evaluation files"):
        main_table([], MODELS, METHODS)


def test_the_same_cell_twice_is_refused(tmp_path: Path) -> None:
    paths = save(tmp_path, evaluation(), evaluation(sparsity="0.50"))
    with pytest.raises(ValueError, match=r"1\.json: same cell as .*0\.json"):
        main_table(paths, MODELS, METHODS)


@pytest.mark.parametrize("change", [{"task": "piqa"}, {"version": "2.0"}, {"samples": 100}])
def test_cells_that_answered_different_questions_are_refused(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    other = evaluation(method="leap")
    other["tasks"]["piqa"] |= change
    with pytest.raises(ValueError, match=r"1\.json: piqa was asked as"):
        main_table(save(tmp_path, evaluation(), other), MODELS, METHODS)


def recipe(budget: str = "row", **code: str) -> dict[str, Any]:
    return {"masks": {"method": {"budget": budget, "steps": [1, 2]}, "code": code}}


def made_with(settings: dict[str, Any], **cell: Any) -> dict[str, Any]:
    return evaluation(**cell) | {"provenance": {"recipe": settings}}


def test_cells_of_this_runs_recipes_are_read(tmp_path: Path) -> None:
    recipes = {"llama-tiny/wanda/0.5": recipe(), "llama-tiny/leap/0.5/seed-1": recipe("layer")}
    paths = save(tmp_path, made_with(recipe()), made_with(recipe("layer"), method="leap", seed=1))
    table = main_table(paths, MODELS, METHODS, recipes)
    assert [result.cell.path for result in table] == list(recipes)
    assert read_cells(paths, recipes) == read_cells(paths) == table


def test_an_evaluation_of_other_settings_is_refused_with_what_differs(tmp_path: Path) -> None:
    path = "llama-tiny/wanda/0.5"
    (file,) = save(tmp_path, made_with(recipe()))
    with pytest.raises(ValueError) as caught:
        main_table([file], MODELS, METHODS, {path: recipe("layer")})
    assert str(caught.value) == (
        f"{file} was made with other settings or code than this run's: masks.method.budget was "
        "'row', now 'layer'. Delete it and run again, or give this run a name of its own: run=NAME"
    )
    wanted = {"masks": {"method": {"steps": [1, 3], "new": 0.5}}, "zeta": {}, "alpha": "a" * 64}
    with pytest.raises(ValueError) as caught:
        read_cells([file], {path: wanted})
    assert (
        f"alpha was not there, now '{'a' * 64}'; masks.method.budget was 'row', now not there; "
        "masks.method.new was not there, now 0.5; and 3 more. Delete it"
    ) in str(caught.value)


def test_an_evaluation_without_a_recipe_or_of_no_cell_is_refused(tmp_path: Path) -> None:
    (file,) = save(tmp_path, evaluation())
    with pytest.raises(ValueError, match=r"0\.json does not say what settings it was made with"):
        read_cells([file], {"llama-tiny/wanda/0.5": recipe()})
    with pytest.raises(ValueError, match=r"0\.json: llama-tiny/wanda/0\.5 is no cell of this run"):
        read_cells([file], {"llama-tiny/wanda/0.6": recipe()})


def test_acc_norm_in_some_cells_only_is_refused(tmp_path: Path) -> None:
    other = evaluation(method="leap")
    del other["tasks"]["piqa"]["acc_norm"]
    with pytest.raises(ValueError, match=r"1\.json: acc_norm is given for"):
        main_table(save(tmp_path, evaluation(), other), MODELS, METHODS)


def test_methods_of_several_patterns_are_told_apart(tmp_path):
    model = "qwen_tiny"
    paths = save(
        tmp_path,
        evaluation(model, "dense", "0.0", acc=0.9),
        evaluation(model, "patch", "0.35", acc=0.8),
        evaluation(model, "wanda-2-4", "0.5", acc=0.4),
        evaluation(model, "leap", "0.5", acc=0.7),
    )
    methods = ["patch", "wanda-2-4", "leap"]
    table = main_table(paths, [model], methods)
    patterns = {"dense": "dense", "patch": "dense or 2:4", "wanda-2-4": "2:4", "leap": "free"}
    write_csv(table, tmp_path / "patterns.csv", patterns)
    with open(tmp_path / "patterns.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["pattern"] for row in rows] == ["dense", "dense or 2:4", "2:4", "free"]
    assert [row["method"] for row in rows] == ["dense", *methods]
    write_markdown(table, tmp_path / "patterns.md", "mini", patterns)
    lines = (tmp_path / "patterns.md").read_text().splitlines()
    assert any(line.startswith("| Method | Pattern | Sparsity | mini-PIQA") for line in lines)
    assert any(line.startswith("| Wanda | 2:4 | 0.5 | 40.00") for line in lines)
    # alone at its sparsity, so the best of nothing
    assert any(line.startswith("| PATCH | dense or 2:4 | 0.35 | 80.00 ") for line in lines)
    assert any(line.startswith("| LEAP | free | 0.5 | **70.00** ") for line in lines)
    write_latex(table, tmp_path / "patterns.tex", "mini", patterns)
    latex = (tmp_path / "patterns.tex").read_text()
    assert r"\label{tab:patterns}" in latex
    assert r"LEAP & free & 0.5 & \textbf{70.00}" in latex


def test_the_name_of_a_variant_under_a_pattern_is_written_with_it():
    assert method_label("wanda-2-4") == "Wanda 2:4"
    assert method_label("maskllm") == "MaskLLM"
    assert method_label("maskllm-1-4") == "MaskLLM 1:4"
    assert method_label("mine-2-4") == "mine-2-4"
    assert method_label("leap-gumbel-noise") == "LEAP gumbel noise"


def test_a_second_perplexity_has_columns_of_its_own(tmp_path):
    cells = grid()
    for number, cell in enumerate(cells):
        cell["in_domain"] = {"value": 20.0 + number, "stderr": 0.3}
    results = main_table(save(tmp_path, *cells), MODELS, METHODS)
    for name, write in (("main.md", write_markdown), ("main.tex", write_latex)):
        write(results, tmp_path / name, "mini")
    write_csv(results, tmp_path / "main.csv")
    first = read_csv(tmp_path / "main.csv")[0]
    assert (first["in_domain_ppl"], first["in_domain_ppl_stderr"]) == ("20", "0.3")
    table = (tmp_path / "main.md").read_text()
    assert "| Perplexity | In-domain perplexity |" in table
    assert "unseen documents" in table
    assert r"PPL & In-d. \\" in (tmp_path / "main.tex").read_text()
    # the lower one is the better one
    rows = [line for line in table.splitlines() if line.startswith("| LEAP | 0.6 |")]
    assert [row.split(" | ")[-1] for row in rows] == ["**22.00** |", "**23.00** |"]


def test_without_a_second_perplexity_there_is_no_column(tmp_path):
    results = main_table(save(tmp_path, *grid()), MODELS, METHODS)
    write_csv(results, tmp_path / "main.csv")
    write_markdown(results, tmp_path / "main.md", "mini")
    assert not [name for name in read_csv(tmp_path / "main.csv")[0] if "in_domain" in name]
    assert "n-domain" not in (tmp_path / "main.md").read_text()

"""Main table: order of rows, numbers, bold, captions, escaping, LaTeX."""

import csv
import re
import shutil
import subprocess
from itertools import product

import pytest

from leap_suite.tables.context import Context
from leap_suite.tables.main import main
from leap_suite.tables.main_tabular import main_tabular
from tests.unit.results.example import GENERATED, MANY, TASKS, WITH_CHANCE, printed, ran, results

MODELS = ["qwen_tiny", "llama-tiny"]
ACCURACIES = {"wanda": 0.65, "sparsegpt": 0.6, "leap": 0.7}
CONTEXT = Context("mini", published=False)
# dense, and three methods of which the last is the best, all with one perplexity
GRID = [
    ran(method, acc, ppl, sparsity, model)
    for model in MODELS
    for method, acc, ppl, sparsity in [
        ("dense", 0.8, 5.0, "0.0"),
        *((m, a, 10.0, s) for s in ("0.6", "0.5") for m, a in ACCURACIES.items()),
    ]
]  # fmt: skip


def tables(cells, tasks=TASKS, patterns=None):
    return main(results(cells, tasks, patterns), CONTEXT)


def rows(cells, tasks=TASKS):
    """Entries after the sparsity, by method, of one model and sparsity."""
    found = printed(tables(cells, tasks)["md"])
    assert {row[1] for row in found} <= {"0.0", "0.5"}
    return {row[0]: row[2:] for row in found}


def read(text):
    return list(csv.DictReader(text.splitlines()))


def test_csv_numbers_and_order():
    norm = {name: {**WITH_CHANCE[name], "acc_norm": 0.51} for name in ("piqa", "mmlu")}
    cell = ran("wanda", [0.57 + n / 100 for n in range(6)], 12.25, in_domain=30.0)
    dense = ran("dense", 0.75, in_domain=20.0)
    found = read(tables([dense, cell], WITH_CHANCE | norm)["csv"])
    row = found[1]
    names = (*TASKS, "average", "ppl", "ppl_stderr", "in_domain_ppl", "piqa_stderr", "piqa_norm")
    values = [57, 58, 59, 60, 61, 62, 59.5, 12.25, 0.1225, 30, 3, 51]
    assert [float(row[name]) for name in names] == values
    # chance is (2 x 50 + 4 x 25) / 6 = 100/3: the dense model is 125/3 above it
    assert float(row["recovered_share"]) == pytest.approx(100 * (59.5 - 100 / 3) / (125 / 3))
    assert read(tables([cell])["csv"])[0]["recovered_share"] == ""
    of_model = [("dense", "0.0"), *((m, s) for s in ("0.5", "0.6") for m in ACCURACIES)]
    order = [(row["model"], row["method"], row["sparsity"]) for row in read(tables(GRID)["csv"])]
    assert order == [(model, *cell) for model in MODELS for cell in of_model], "densest first"


def test_markdown_has_a_block_a_model_and_bold_for_the_best_as_printed():
    text = tables(GRID)["md"]
    assert re.findall("^### .*", text, re.M) == [r"### qwen\_tiny", "### llama-tiny"]
    found = printed(text)
    assert len(found) == 14
    assert found[0] == ["Dense", "0.0", *["80.00"] * 7, "–", "–", "5.00"], "dense is never bold"
    # a tie: all are bold
    assert found[1] == ["Wanda", "0.5", *["65.00"] * 7, "–", "15.00", "**10.00**"]
    assert found[3] == ["LEAP", "0.5", *["**70.00**"] * 7, "–", "**10.00**", "**10.00**"]
    assert "Flips: items" in text and "Flips" not in tables(GRID)["tex"]
    close = rows([ran("wanda", 0.50001, 9.5), ran("leap", 0.50002, 11.5), ran("alps", 0.4, 2.5e9)])
    assert close["Wanda"] == [*["**50.00**"] * 7, "–", "**9.50**"]
    assert close["LEAP"] == [*["**50.00**"] * 7, "–", "11.50"]
    assert close["ALPS"] == [*["40.00"] * 7, "–", "2.5e+09"]


def test_controls_are_never_bold_under_any_name():
    pair = [ran("wanda", 0.3), ran("sparsegpt", 0.2)]
    lucky = ran("coin", 0.9, 1.0, implementation="random-mask")
    lookalike = ran("random-mask-2-4", 0.4, 2.5, implementation="wanda")
    found = rows([*pair, lucky, lookalike])
    assert found["coin"] == [*["90.00"] * 7, "–", "1.00"]
    assert found["Random mask 2:4"] == [*["**40.00**"] * 7, "–", "**2.50**"]
    assert "**" not in str(rows([pair[0], lucky])), "nor is a method with only controls beside it"
    for cells in ([*pair, lucky], pair):
        assert ("Controls are the best of nothing." in tables(cells)["md"]) == (lucky in cells)


def test_seeds_become_mean_and_standard_deviation_and_in_domain_perplexity_a_column():
    cells = [
        ran("wanda", 0.5 + seed / 10, 10.0 + seed, seed=seed, in_domain=22) for seed in range(3)
    ]
    cells += [ran("leap", 0.4, 20.0, in_domain=23), ran("dense", 0.75, in_domain=9)]
    found, texts = rows(cells, WITH_CHANCE), tables(cells, WITH_CHANCE)
    assert found["LEAP"][-5:] == ["40.00", "16.00", "35.00", "20.00", "23.00"]
    means = [*["**60.00** ± 10.00"] * 7, "**64.00** ± 24.00", "**15.00** ± 10.00"]
    means.append("**11.00** ± 1.00")
    assert found["Wanda"] == [*means, "**22.00** ± 0.00"]
    assert "standard deviation" in texts["md"] and r"\textbf{60.00} $\pm$ 10.00" in texts["tex"]
    assert (
        "| Recovered | Flips | Perplexity | In-domain perplexity |" in texts["md"]
        and "unseen doc" in texts["md"]
    )
    assert r"PPL & In-d. \\" in texts["tex"]


def test_normalised_accuracy_and_divergence_have_columns_where_they_are_known():
    tasks = {name: dict(TASKS[name]) for name in ("piqa", "arc_easy")}
    right, better = [[1, 1, 0, 0], [1, 0, 0, 0]], [[1, 1, 0, 0], [1, 1, 0, 0]]
    cells = [
        ran("dense", right=better, normed={"piqa": [1, 1, 0, 0]}),
        ran("wanda", right=right, kl=0.5, normed={"piqa": [1] * 4}),
        ran("leap", right=better, kl=0.0625, normed={"piqa": [0] * 4}),
    ]
    texts = tables(cells, tasks)
    dense, wanda, leap = (row[4:] for row in printed(texts["md"]))
    assert "| Average | Norm. | Recovered | Flips | KL | Perplexity |" in texts["md"]
    assert wanda == ["37.50", "**62.50**", "–", "12.50", "0.500", "**10.00**"]
    assert leap == ["**50.00**", "25.00", "–", "**0.00**", "**0.062**", "**10.00**"]
    assert dense == ["50.00", "50.00", "–", "–", "–", "10.00"]
    assert "in nats" in texts["md"] and "KL" not in texts["tex"]
    first = read(texts["csv"])[1]
    assert (first["kl"], first["kl_stderr"], first["average_norm"]) == ("0.5", "0.05", "62.5")


def test_methods_of_several_patterns_have_a_column_for_it():
    cells = [ran("dense", 0.9), ran("patch", 0.8, sparsity="0.35"), ran("wanda-2-4", 0.4),
             ran("leap", 0.7)]  # fmt: skip
    patterns = {"dense": "dense", "patch": "dense or 2:4", "wanda-2-4": "2:4", "leap": "free"}
    texts = tables(cells, patterns=patterns)
    assert [row["pattern"] for row in read(texts["csv"])] == list(patterns.values())
    assert "| Method | Pattern | Sparsity | PIQA" in texts["md"]
    found = [row[:4] for row in printed(texts["md"])]
    # without a competitor at its sparsity
    assert found[1] == ["PATCH", "dense or 2:4", "0.35", "80.00"]
    assert found[2:] == [["Wanda", "2:4", "0.5", "40.00"], ["LEAP", "free", "0.5", "**70.00**"]]
    assert r"LEAP & free & 0.5 & \textbf{70.00}" in texts["tex"]


def test_other_metrics_and_shots_are_named_and_not_all_tasks_count():
    cells = [ran("wanda", [0.5] * 7 + [30.0]), ran("leap", [0.6] * 6 + [0.7, 20.0])]
    text = tables(cells, MANY)["md"]
    assert "Accuracy (lm-evaluation-harness `acc`" in text and "Zero-shot" not in text
    assert "; GSM8K `exact_match` 5-shot, LAMBADA `perplexity`)" in text
    assert "the seven tasks that count (PIQA, ARC-E, ARC-C, WinoG., OBQA, MMLU, GSM8K)" in text
    wanda, leap = printed(text)
    assert wanda[8:11] == ["50.00", "30.00", "50.00"]
    # perplexity of a task: unknown whether more is better
    assert leap[8:11] == ["**70.00**", "20.00", "**61.43**"]


def test_generated_tasks_are_named_in_every_format():
    texts = tables(GRID, GENERATED)
    assert {row["tasks"] for row in read(texts["csv"])} == {"generated"}
    bold = "Generated tasks for miniature models: not PIQA"
    assert texts["md"].startswith(f"**{bold}")
    assert texts["md"].count("| mini-PIQA | mini-ARC-E |") == 2
    heading = r"\multicolumn{6}{c}{generated miniature tasks}"
    for text in (texts["tex"], main_tabular(results(GRID, GENERATED), CONTEXT)["tex"]):
        assert rf"\textbf{{{bold}" in text
        assert text.count(heading) == 2, "a head, or a model"
        assert "mini-" not in text.replace("-tiny", "")
    assert "generated miniature" not in tables(GRID)["tex"]


def test_latex_is_escaped_and_well_formed():
    name = "a_b%c&d#e$f{g}h~i^j\\k"
    cells = [ran("new_method", model="m"), ran("wanda", model="n")]
    found = results(cells, GENERATED)
    found.frame["model"] = found.frame["model"].replace("m", name)
    text = main(found, CONTEXT)["tex"]
    assert r"a\_b\%c\&d\#e\$f\{g\}h\textasciitilde{}i\textasciicircum{}j\textbackslash{}k" in text
    assert r"new\_method & 0.5 &" in text
    unescaped = re.sub(r"\\[&%$#_{}]", "", text)
    assert unescaped.count("{") == unescaped.count("}")
    assert text.count(r"\midrule") == 3, "one below each head, one between the two models"
    assert not re.search(r"(?<!\\)[%#_]", text)
    markdown = tables([ran("a|b_c")])["md"]
    assert r"| a\|b\_c | 0.5 |" in markdown


def test_the_tabular_has_a_table_a_model_and_a_block_a_sparsity():
    cells = [*GRID, ran("leap", 0.8, 4338.6, "0.6", MODELS[0], seed=1)]
    text = main_tabular(results(cells, GENERATED), CONTEXT)["tex"]
    first, second = text.split(r"\end{table*}")[:-1]
    assert r"\caption{qwen\_tiny. " in first and r"\label{tab:main-1}" in first
    assert r"\caption{llama-tiny. " in second and r"\label{tab:main-2}" in second
    assert "Means where several seeds were run." in first

    def row(name, accuracy, ppl=r"\textbf{10.00}"):
        return rf"{name} & {' & '.join([accuracy] * 7)} & {ppl} \\"

    others = [row("Wanda", "65.00"), row("SparseGPT", "60.00")]
    title = r"\multicolumn{9}{@{}l}{\textit{sparsity %s}} \\"
    assert "pm" not in text
    assert first.split(r"\toprule")[1].splitlines()[1:-1] == [
        r" & \multicolumn{6}{c}{generated miniature tasks} &  &  \\",
        r"\cmidrule(lr){2-7}",
        r"Method & PIQA & ARC-E & ARC-C & WinoG. & OBQA & MMLU & Avg. & PPL \\",
        *(r"\midrule", row("Dense", "80.00", "5.00")),
        *(r"\midrule", title % 0.5, *others, row("LEAP", r"\textbf{70.00}")),
        *(r"\midrule", title % 0.6, *others, row("LEAP", r"\textbf{75.00}", "2174.3")),
        r"\bottomrule",
    ], "the mean of two seeds, and no spread"


def compiled(folder, text, options=""):
    """Output of LaTeX for a document with this table."""
    (folder / "page.tex").write_text(
        f"\\documentclass{options}{{article}}\n\\usepackage{{booktabs,longtable}}\n"
        f"\\begin{{document}}\n{text}\n\\end{{document}}\n"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    for _ in range(3):  # longtable settles its widths over runs
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert run.returncode == 0, run.stdout
    assert not re.search("Overfull|too large|Warning", run.stdout), run.stdout
    return run.stdout


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.heavy
def test_latex_of_the_papers_grid_compiles_and_fits_its_pages(tmp_path):
    methods = ["wanda", "sparsegpt", "thanos", "admm", "leap"]
    models = [f"model-{number}" for number in range(5)]
    cells = [ran("dense", 0.9, model=model) for model in models]
    # with the widest perplexities
    grid = product(methods, [0.5], [123456.0], ["0.5", "0.6"], models)
    cells += [ran(*cell) for cell in grid]
    found = results(cells, {name: WITH_CHANCE[name] | GENERATED[name] for name in TASKS})
    assert "(2 pages" in compiled(tmp_path, main(found, Context("paper"))["tex"])
    compiled(tmp_path, main_tabular(found, Context("paper"))["tex"], "[twocolumn]")

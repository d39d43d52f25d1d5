"""README and docs say what the tracked results say; their links lead somewhere; their code runs."""

import csv
import re
import shutil
import statistics
from collections.abc import Iterator

import pytest

from leap_suite.artifacts.files import read_json
from leap_suite.plan.config import MINIATURES
from leap_suite.plan.methods import known_methods, method_label
from leap_suite.report import documentation
from leap_suite.tables import verdict
from leap_suite.tables.verdict import equals, p_text
from tests.conftest import ROOT

METHOD_OF = {method_label(method): method for method in ("dense", *known_methods())}
METHOD_OF |= {method_label(name): name for name in ("admm-cubic", "leap-reconstruct")}
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def rows_of(page: str, table: str) -> Iterator[list[str]]:
    """The cells of a table's rows, without emphasis."""
    (lines,) = re.findall(rf"<!-- table: {table} .*?-->\n(.*?)<!-- end -->", text_of(page), re.S)
    for line in lines.splitlines()[2:]:
        yield [cell.strip() for cell in line.replace("*", "").strip("|").split("|")]


def measured(run: str, method: str, sparsity: str, column: str) -> float:
    """The mean of the models, a geometric one of perplexities."""
    sparsity = "0.0" if method == "dense" else sparsity
    with open(ROOT / "results/examples" / run / "main.csv", encoding="utf-8") as file:
        wanted = (method, sparsity)
        cells = [r for r in csv.DictReader(file) if (r["method"], r["sparsity"]) == wanted]
    if not cells:
        return beside_the_grid(run, method, sparsity)[column]
    mean = statistics.geometric_mean if "ppl" in column else statistics.fmean
    return mean(float(cell[column]) for cell in cells)


def beside_the_grid(run: str, method: str, sparsity: str) -> dict[str, float]:
    """The columns of main.csv for a cell that it lacks, from its evaluation."""
    folder = ROOT / "results/examples" / run / "evaluations/smollm2-135m"
    names = (f"{method}/{sparsity}.json", "dense/0.0.json", f"random-mask/{sparsity}.json")
    evaluations = [read_json(folder / name) for name in names]
    found = evaluations[0]
    average, of_dense, floor = (
        100 * statistics.fmean(task["acc"] for task in evaluation["tasks"].values())
        for evaluation in evaluations
    )
    return {
        "average": average,
        "recovered_share": 100 * (average - floor) / (of_dense - floor),
        "ppl": found["perplexity"]["value"],
        "in_domain_ppl": found["in_domain"]["value"],
    }


@pytest.mark.parametrize(
    ("page", "table", "columns", "methods"),
    [
        ("README.md", "short claim", ["average", "ppl"], 6),
        ("README.md", "short mini", ["average", "ppl"], 6),
        ("docs/results.md", "full claim",
         ["average", "recovered_share", "ppl", "in_domain_ppl"], 13),
        ("docs/results.md", "full mini", ["average", "recovered_share", "ppl"], 13),
    ],
)  # fmt: skip
def test_tables_are_those_of_the_tracked_results(page, table, columns, methods):
    rows = [*rows_of(page, table)]
    assert len(rows) == methods
    for label, *cells in rows:
        method = METHOD_OF[label]
        wanted = [(s, column) for s in ("0.5", "0.6") for column in columns]
        for cell, (sparsity, column) in zip(cells, wanted, strict=True):
            exact = measured(table.split()[1], method, sparsity, column)
            unit = exact / 10 if "e+" in cell else 10.0 ** -len(cell.partition(".")[2])
            assert float(cell) == pytest.approx(exact, abs=0.51 * unit), (label, sparsity, column)


@pytest.mark.parametrize("page", documentation.PAGES)
def test_tables_are_as_they_are_generated(page):
    assert documentation.filled(text_of(page)) == text_of(page), "run make docs"


def lead(entry: dict, decimals: int) -> str:
    value, error = (
        abs(entry[key]) for key in (("mean" if "mean" in entry else "difference"), "standard_error")
    )
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"


def first_verdicts(run: str) -> list[dict]:
    """Differences of accuracies to the best layer-wise method, and to the best of all."""
    verdicts = read_json(ROOT / f"results/examples/{run}/headline.json")["against"]
    return [found["accuracy"] for found in verdicts if found["first"]]


def test_what_is_said_of_leads_is_what_was_found():
    layer_wise, of_all = first_verdicts("claim")
    for entry in (*layer_wise["cells"], layer_wise):
        assert lead(entry, 2) in text_of("README.md")
    assert f"p {equals(layer_wise['p_value'])}" in text_of("README.md")
    assert f"{p_text(layer_wise['p_holm'])} adjusted" in text_of("README.md")
    for cell in of_all["cells"]:
        assert lead(cell, 2) in text_of("docs/results.md")
    mini, of_all_mini = first_verdicts("mini")
    assert mini["cells_better"] == 10 and mini["cells_significantly_worse"] == 0
    assert of_all_mini["mean"] < 0
    for page in ("README.md", "docs/results.md"):
        assert lead(mini, 1) in text_of(page)
        assert lead(of_all_mini, 1) in text_of(page)
    for entry in (mini, of_all_mini):  # what the run printed
        assert verdict.short_summary(entry, generated=True) in text_of("README.md")


def anchors(text: str) -> set[str]:
    """Of headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)):
        if link.startswith("http"):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), link


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_the_example_in_python_runs(tmp_path, capsys):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    for part in ("mini-llama-3.2-1b", "tokenizer"):
        shutil.copytree(MINIATURES / part, tmp_path, dirs_exist_ok=True)
    texts = [" ".join(f"{word} {i}" for word in code.split()) for i in range(64)]
    known = {"path": str(tmp_path), "texts": texts}
    code = code.replace("length=1024", "length=64")
    exec(code.replace("steps=500", "steps=3"), known)
    linears = known["start"].masks
    model = dict(known["model"].named_modules())
    kept = sum(int(model[name].weight.count_nonzero()) for name in linears)
    total = sum(mask.numel() for mask in linears.values())
    assert kept == total - round(0.6 * total)
    assert re.search(r"3/3 .*lm_loss=\d", capsys.readouterr().err)

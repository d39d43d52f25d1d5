"""README and docs say what the tracked results say; their links lead somewhere; their code runs."""

import csv
import re
import statistics
from collections.abc import Iterator

import pytest
import torch

from tests.conftest import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
# the row's beginning in a page, and the method in main.csv
REAL = {
    "dense": "dense", "random mask": "random-mask", "magnitude": "magnitude", "Wanda": "wanda",
    "SparseGPT": "sparsegpt", "Thanos": "thanos", "ADMM": "admm", "ALPS": "alps", "LEAP": "leap",
    "ADMM, constant schedule (as LEAP's authors run it)": "admm",
    "ADMM, cubic schedule (as its own paper has it)": "admm-cubic",
    "Wanda's mask, kept weights reconstructed": "reconstruct",
    "Wanda's mask, reconstructed": "reconstruct", "LEAP's mask, reconstructed": "leap-reconstruct",
    "ELSA, which learns weights and mask": "elsa", "ELSA, end to end on LEAP's text": "elsa",
    "sub-modules of Wanda's mask reconstructed": "reconstruct",
}  # fmt: skip


def rows_under(page: str, head: str) -> Iterator[list[str]]:
    """The cells of a table's rows, without emphasis, that follow the line `head`."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for line in text[text.index(head) :].splitlines()[2:]:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in line.replace("*", "").strip("|").split("|")]


def measured(run: str, method: str, sparsity: str, column: str) -> float:
    """The mean of the models, a geometric one of perplexities."""
    sparsity = "0.0" if method == "dense" else sparsity
    with open(ROOT / "results/examples" / run / "main.csv", encoding="utf-8") as file:
        wanted = (method, sparsity)
        cells = [r for r in csv.DictReader(file) if (r["method"], r["sparsity"]) == wanted]
    mean = statistics.geometric_mean if "ppl" in column else statistics.fmean
    return mean(float(cell[column]) for cell in cells)


def number(text: str) -> float:
    return float(text.replace(",", "").replace("−", "-").replace("%", ""))


@pytest.mark.parametrize(
    ("page", "head", "run", "columns", "least"),
    [
        ("README.md", "| | accuracy at 0.5 | perplexity |", "claim", ["average", "ppl"], 6),
        ("docs/results.md", "| | accuracy at 0.5 | recovered | WikiText-2 |", "claim",
         ["average", "recovered_share", "ppl", "in_domain_ppl"], 12),
        ("docs/results.md", "| | accuracy at 0.5 | recovered | perplexity |", "mini",
         ["average", "recovered_share", "ppl"], 12),
    ],
)  # fmt: skip
def test_tables_are_those_of_the_tracked_results(page, head, run, columns, least):
    checked = 0
    for name, *cells in rows_under(page, head):
        if name not in REAL:
            assert set(cells) == {""}, name  # a line between rows
            continue
        wanted = [(s, column) for s in ("0.5", "0.6") for column in columns]
        for cell, (sparsity, column) in zip(cells, wanted, strict=True):
            digits = re.search(r"e|\.(\d+)", cell.removesuffix(" %"))
            exact = measured(run, REAL[name], sparsity, column)
            tolerance = 0.51 * 10.0 ** -len(digits[1] or "") if digits else 0.51
            if "e+" in cell or "," in cell:
                tolerance = 0.05 * exact
            assert number(cell) == pytest.approx(exact, abs=tolerance), (name, sparsity, column)
        checked += 1
    assert checked >= least


def test_the_readme_has_the_miniatures_means():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    second = text[text.index("**On five miniatures**") :]
    for name, method in (("ADMM", "admm"), ("ALPS", "alps"), ("LEAP", "leap"), ("ELSA", "elsa")):
        line = next(line for line in second.splitlines() if re.match(rf"\| \**{name}", line))
        cells = [number(cell.strip(" *")) for cell in line.strip("|").split("|")[1:]]
        columns = [(s, c, d) for s in ("0.5", "0.6") for c, d in (("average", 1), ("ppl", 2))]
        for cell, (sparsity, column, digits) in zip(cells, columns, strict=True):
            assert cell == round(measured("mini", method, sparsity, column), digits), line


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
    place = tmp_path / "tokens.pt"
    torch.save(torch.randint(256, (64, 16), generator=torch.Generator().manual_seed(0)), place)
    known = {
        "path": str(ROOT / "workflow/suite/miniature/checkpoints/mini-llama-3.2-1b"),
        "tokens": str(place),
    }
    exec(code.replace("steps=500", "steps=3"), known)
    linears = known["start"].masks
    model = dict(known["model"].named_modules())
    kept = sum(int(model[name].weight.count_nonzero()) for name in linears)
    total = sum(mask.numel() for mask in linears.values())
    assert kept == total - round(0.6 * total)
    assert capsys.readouterr().out.count("LM loss") == 3

"""README and docs say what the tracked results say; their links lead somewhere; their code runs."""

import re

import pytest
import torch

from suite.artifacts.files import read_json
from suite.report import documentation
from suite.tables import verdict
from suite.tables.verdict import equals
from tests.conftest import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", documentation.PAGES)
def test_tables_are_as_they_are_generated(page):
    assert documentation.filled(text_of(page)) == text_of(page), "run make docs"


def lead(entry: dict, decimals: int) -> str:
    value = abs(entry.get("mean", entry.get("difference")))
    return f"{value:.{decimals}f} ± {entry['standard_error']:.{decimals}f}"


def first_verdicts(run: str) -> list[dict]:
    """Differences of accuracies to the best layer-wise method, and to the best of all."""
    verdicts = read_json(ROOT / f"results/examples/{run}/headline.json")["against"]
    return [found["accuracy"] for found in verdicts if found["first"]]


def test_what_is_said_of_leads_is_what_was_found():
    layer_wise, of_all = first_verdicts("claim")
    for entry in (*layer_wise["cells"], layer_wise):
        assert lead(entry, 2) in text_of("README.md")
    assert equals(layer_wise["p_value"]) == "= 0.004" and "p = 0.004" in text_of("README.md")
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
    assert len(text_of("README.md").splitlines()) <= 150


def test_the_example_in_python_runs(tmp_path, capsys):
    (code,) = re.findall(r"^```python\n(.*?)^```", text_of("README.md"), re.M | re.S)
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

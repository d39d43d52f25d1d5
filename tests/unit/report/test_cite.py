"""references.bib: what it names for a run, and that BibTeX can read it."""

import re

import pytest

from leap_suite.plan.config import load
from leap_suite.plan.downloads import of_hub
from leap_suite.plan.methods import known_methods, method_schema, used_methods
from leap_suite.report import cite

TOOLS = {"eval-harness", "molder2021snakemake", "wolf2020transformers", "paszke2019pytorch"}
REQUIRED = {
    "article": {"author", "title", "journal", "year"},
    "inproceedings": {"author", "title", "booktitle", "year"},
    "misc": {"author", "title", "year"},
}


BRACES = r"(?:[^{}]|{(?:[^{}]|{[^{}]*})*})*"  # nested twice at most
FIELD = rf"\s*(\w+)\s*=\s*{{({BRACES})}}\s*"


def parse(text: str) -> dict[str, dict[str, str]]:
    """Fields of every entry by its key; refuses what BibTeX would refuse."""
    found: dict[str, dict[str, str]] = {}
    for entry in re.split(r"^(?=@)", text, flags=re.M)[1:]:
        whole = re.fullmatch(rf"@(\w+){{([^\s,]+),({FIELD},)*({FIELD})}}\s*", entry)
        assert whole, entry
        kind, key = whole.group(1, 2)
        pairs = re.findall(FIELD, entry.partition(",")[2])
        assert key not in found and len(dict(pairs)) == len(pairs), f"{key}: something is twice"
        assert dict(pairs).keys() >= REQUIRED[kind] and all(dict(pairs).values()), key
        found[key] = dict(pairs)
    return found


def written(tmp_path, overrides: dict, names: list[str]) -> str:
    settings = load({"hub_mirror": "", **overrides})
    path = tmp_path / "references.bib"
    cite.write_references(
        settings["scale"], used_methods(names, settings), of_hub(settings), path
    )  # fmt: skip
    return path.read_text()


def test_the_paper_scale_cites_its_methods_tasks_and_texts(tmp_path):
    text = written(tmp_path, {"scale": "paper"}, ["sparsegpt", "leap"])
    found = parse(text)
    tasks = {
        "bisk2020piqa", "clark2018arc", "sakaguchi2020winogrande", "mihaylov2018openbookqa",
        "hendrycks2021mmlu",
    }  # fmt: skip
    texts = {"merity2017wikitext", "raffel2020c4", "soboleva2023slimpajama"}
    methods = {"frantar2023sparsegpt", "mozaffari2026leap", "sun2024wanda"}  # wanda: leap's start
    assert set(found) == methods | tasks | texts | TOOLS
    assert "Without an entry" not in text
    assert found["mozaffari2026leap"]["title"] == (
        "{LEAP}: Learnable End-to-End Adaptive Pruning of Large Language Models"
    )
    assert "2605.17289" in found["mozaffari2026leap"]["journal"]


def test_the_miniature_world_has_nothing_to_cite_but_leap_always_has(tmp_path):
    found = parse(written(tmp_path, {"scale": "mini"}, ["magnitude"]))
    assert set(found) == {"han2015learning", "mozaffari2026leap"} | TOOLS


def test_other_tasks_have_entries_and_what_has_none_is_named(tmp_path):
    tasks = [{"task": name, "dataset": "a/b"} for name in ("hellaswag", "gsm8k", "siqa")]
    needs = {"tasks": tasks, "texts": [{"hub": "owner/news"}]}
    cite.write_references("mini", ["wanda"], needs, tmp_path / "references.bib")
    text = (tmp_path / "references.bib").read_text()
    assert {"zellers2019hellaswag", "cobbe2021gsm8k"} <= set(parse(text))
    first, second, *_ = text.splitlines()
    assert "scale mini" in first
    assert second == "% Without an entry: task siqa, text owner/news."


def test_two_entries_with_one_key_are_refused(tmp_path, monkeypatch):
    twice = {"paper": {"bibtex": "@misc{eval-harness,\n  author = {A}, title = {T}, year = {1}}"}}
    monkeypatch.setattr(cite, "method_schema", lambda name: twice)
    with pytest.raises(ValueError, match="two different BibTeX entries are called eval-harness"):
        cite.write_references("mini", [], {"tasks": [], "texts": []}, tmp_path / "references.bib")


def test_every_entry_that_we_keep_can_be_read():
    kept = parse(cite.REFERENCES.read_text(encoding="utf-8"))
    assert set(kept) == {*cite._TOOLS, *cite._TASKS.values(), *cite._TEXTS.values()}
    papers = {name: method_schema(name)["paper"] for name in known_methods()}
    without = {name for name, paper in papers.items() if paper == "none"}
    assert all(method_schema(name).get("control") for name in without), "only a control has none"
    for name, paper in papers.items():
        if name in without:
            continue
        ((key, fields),) = parse(paper["bibtex"]).items()
        assert key in cite.entries(paper["bibtex"])
        assert fields["title"].replace("{", "").replace("}", "") == paper["title"], name
        arxiv = paper["arxiv"]
        assert fields.get("eprint", arxiv) == arxiv
        assert "arXiv" not in fields.get("journal", "") or fields["journal"].endswith(arxiv)

"""The BibTeX of what a run used: its methods, tasks and texts, the tools, and LEAP itself."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from suite.artifacts.files import write_text
from suite.plan.cell import LEAP
from suite.plan.methods import method_label, method_schema
from suite.tables.text import lines_text

REFERENCES = Path(__file__).with_name("references.bib")

_TOOLS = ("eval-harness", "molder2021snakemake", "wolf2020transformers", "paszke2019pytorch")
_TASKS = {
    "piqa": "bisk2020piqa",
    "arc_easy": "clark2018arc",
    "arc_challenge": "clark2018arc",
    "winogrande": "sakaguchi2020winogrande",
    "openbookqa": "mihaylov2018openbookqa",
    "mmlu": "hendrycks2021mmlu",
    "hellaswag": "zellers2019hellaswag",
    "sciq": "welbl2017sciq",
    "lambada_openai": "paperno2016lambada",
    "gsm8k": "cobbe2021gsm8k",
    "boolq": "clark2019boolq",
}
_TEXTS = {
    "Salesforce/wikitext": "merity2017wikitext",
    "allenai/c4": "raffel2020c4",
    "DKYoon/SlimPajama-6B": "soboleva2023slimpajama",
    "cerebras/SlimPajama-627B": "soboleva2023slimpajama",
}


def write_references(
    scale: str, methods: Iterable[str], needs: Mapping[str, Sequence[Mapping[str, Any]]], path: Path
) -> None:
    """Write one BibTeX entry for each thing used; what has none is named in the first lines.

    `methods` are names of methods, whose schemas have their entries; `needs` is what the scale
    takes from a hub (see `suite.plan.needs.of_hub`). Raises ValueError where two different entries
    have one key.
    """
    methods = sorted({LEAP, *methods})
    papers = {name: method_schema(name)["paper"] for name in methods}
    cited: dict[str, str] = {}
    for paper in papers.values():
        _add(cited, {} if paper == "none" else entries(paper["bibtex"]))
    known = entries(REFERENCES.read_text(encoding="utf-8"))
    tasks = [task["task"] for task in needs["tasks"]]
    texts = [text["dataset"] for text in needs["texts"]]
    keys = [*map(_TASKS.get, tasks), *map(_TEXTS.get, texts), *_TOOLS]
    _add(cited, {key: known[key] for key in keys if key})
    without = [
        *(f"method {method_label(name)}" for name, paper in papers.items() if paper == "none"),
        *(f"task {task}" for task in tasks if task not in _TASKS),
        *(f"text {text}" for text in texts if text not in _TEXTS),
    ]
    lines = [f"% What scale {scale} of the LEAP suite used; made by `snakemake --cores 1 cite`."]
    lines += [f"% Without an entry: {', '.join(dict.fromkeys(without))}."] if without else []
    for entry in cited.values():
        lines += ["", entry]
    write_text(path, lines_text(lines))


def entries(bibtex: str) -> dict[str, str]:
    """The entries of a BibTeX text by their keys; each has to begin a line."""
    found = re.split(r"^(?=@)", bibtex, flags=re.M)[1:]
    return {entry.partition("{")[2].partition(",")[0]: entry.strip() for entry in found}


def _add(cited: dict[str, str], more: Mapping[str, str]) -> None:
    for key, entry in more.items():
        if cited.setdefault(key, entry) != entry:
            raise ValueError(f"two different BibTeX entries are called {key}: rename one")

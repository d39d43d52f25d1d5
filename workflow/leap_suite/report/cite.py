"""BibTeX of a run's methods, tasks, texts and tools.

Needed because each grid uses others' methods and data, and a paper on it has to cite all of them.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from leap_suite.artifacts.files import write_text
from leap_suite.plan.cell import LEAP
from leap_suite.plan.methods import method_label, method_schema
from leap_suite.tables.text import lines_text

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
    """Write one BibTeX entry per method, task, text and tool; comments name those without one.

    `methods` are names of methods, whose schemas have their entries; `needs` are the scale's
    downloads (see `leap_suite.plan.downloads.of_hub`). Raises ValueError if two different entries
    have the same key.
    """
    papers = {name: method_schema(name)["paper"] for name in sorted({LEAP, *methods})}
    used = {f"task {task['task']}": _TASKS.get(task["task"]) for task in needs["tasks"]}
    used |= {f"text {text['hub']}": _TEXTS.get(text["hub"]) for text in needs["texts"]}
    known = entries(REFERENCES.read_text(encoding="utf-8"))
    found = [entries(paper["bibtex"]) for paper in papers.values() if paper != "none"]
    found.append({key: known[key] for key in [*used.values(), *_TOOLS] if key})
    cited: dict[str, str] = {}
    for key, entry in (item for each in found for item in each.items()):
        if cited.setdefault(key, entry) != entry:
            raise ValueError(f"two different BibTeX entries are called {key}: rename one")
    without = [f"method {method_label(name)}" for name, paper in papers.items() if paper == "none"]
    without += [name for name, key in used.items() if not key]
    lines = [f"% What scale {scale} of the LEAP suite used; made by `snakemake --cores 1 cite`."]
    lines += [f"% Without an entry: {', '.join(without)}."] if without else []
    for entry in cited.values():
        lines += ["", entry]
    write_text(path, lines_text(lines))


def entries(bibtex: str) -> dict[str, str]:
    """Entries of a BibTeX text by key; each must begin a line."""
    found = re.split(r"^(?=@)", bibtex, flags=re.M)[1:]
    return {entry.partition("{")[2].partition(",")[0]: entry.strip() for entry in found}

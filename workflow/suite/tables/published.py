"""The published numbers, as kept in results/published, each with its source."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from suite.results.frame import PLACE, Results

_FOLDER = Path(__file__).parents[3] / "results/published"

FILES = (_FOLDER / "leap.csv", _FOLDER / "thesis.csv")

# What averages are published over: accuracies without examples.
TASKS = ("piqa", "arc_easy", "arc_challenge", "winogrande", "openbookqa", "mmlu")
MEASURES = (*TASKS, "average", "ppl")
NUMBER = [*PLACE, "method", "measure"]  # what a number is of


def read_published(paths: Sequence[Path] = FILES) -> pd.DataFrame:
    """All published numbers as a frame of results has them, with columns `NUMBER`, value, source.

    They come in the files' order: of one cell there may be several. Accuracies are in percent.
    """
    rows = pd.concat(map(pd.read_csv, paths)).set_index([*PLACE, "method", "source"])
    measures = rows[list(MEASURES)].rename_axis(columns="measure")
    return measures.stack(future_stack=True).dropna().rename("value").reset_index()


def published_models() -> set[str]:
    """Names of the models of which something was published."""
    return set(read_published()["model"])


def comparable(results: Results) -> list[str]:
    """The measures that are what was published: not tasks of the same names that were asked in
    another way, nor an average over other tasks."""
    same = [
        t.name for t in results.tasks if t.name in TASKS and (t.metric, t.fewshot) == ("acc", 0)
    ]
    averaged = {task.name for task in results.tasks if task.averaged}
    return [*same, *(["average"] if averaged == {*same} == {*TASKS} else []), "ppl"]


def comparable_means(results: Results) -> pd.DataFrame:
    """`value` and `stderr` of what is comparable, by `NUMBER`: means over seeds."""
    numbers = results.frame[results.frame["measure"].isin(comparable(results))]
    return numbers.groupby(NUMBER, sort=False)[["value", "stderr"]].mean()

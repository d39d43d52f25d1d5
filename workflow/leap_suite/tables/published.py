"""Published numbers of results/published, each with its source."""

import pandas as pd

from leap_suite.places import PUBLISHED
from leap_suite.results.frame import PLACE, Results

FILES = [PUBLISHED / f"{name}.csv" for name in ("leap", "thesis")]
# The published averages are over these, zero-shot.
TASKS = ("piqa", "arc_easy", "arc_challenge", "winogrande", "openbookqa", "mmlu")
MEASURES = (*TASKS, "average", "ppl")
NUMBER = [*PLACE, "method", "measure"]  # key columns of a number


def read_published() -> pd.DataFrame:
    """All published numbers in the files' order, with columns `NUMBER`, `value` and `source`.

    A cell may have several. Accuracies are in percent.
    """
    rows = pd.concat(map(pd.read_csv, FILES)).set_index([*PLACE, "method", "source"])
    measures = rows[list(MEASURES)].rename_axis(columns="measure")
    return measures.stack(future_stack=True).dropna().rename("value").reset_index()


def published_models() -> set[str]:
    """Names of models with published numbers."""
    return set(read_published()["model"])


def comparable_means(results: Results) -> pd.DataFrame:
    """`value` and `stderr` by `NUMBER`, averaged over seeds, of what the published numbers measure.

    That is zero-shot `acc`, perplexity, and the average of the same tasks only.
    """
    same = {t.name for t in results.tasks if (t.metric, t.fewshot) == ("acc", 0)} & {*TASKS}
    averaged = {task.name for task in results.tasks if task.averaged}
    average = ["average"] if averaged == same == {*TASKS} else []
    numbers = results.frame[results.frame["measure"].isin([*same, *average, "ppl"])]
    return numbers.groupby(NUMBER, sort=False)[["value", "stderr"]].mean()

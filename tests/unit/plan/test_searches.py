"""Searches behind a study's methods: the number of settings that were tried."""

import pytest

from leap_suite.plan import searches
from tests.unit.recipes import loaded


def search(base: str, **variants: dict) -> dict:
    cells = {"models": ["mini-gemma-3-1b"], "sparsity": 0.5, "seeds": [0]}
    varied = {**cells, "base": base, "variants": variants}
    return {"table": "search", "measure": "validation", "variants": varied}


def test_trials_are_the_distinct_settings_of_all_searches_of_the_method():
    first = search("wanda", layer={"budget": "layer"}, same={"budget": "layer"})
    # the base of the second is among the first's, and its settings are too
    second = search("wanda-2-4", other={"budget": "4:8"}, layer={"budget": "layer"})
    study = {"searches": {"wanda": ["first", "second"], "admm": ["third"]}}
    found = loaded(
        studies={"sweep": study, "first": first, "second": second, "third": search("admm", x={})}
    )
    # row, layer, 2:4 and 4:8; a variant without changes is its base
    assert searches.trials("sweep", found) == {"wanda": 4, "admm": 1}
    assert searches.trials("allocation", found) == {}


@pytest.mark.parametrize(("method", "tried"), [("leap", 12), ("admm-finetune", 12), ("elsa", 15)])
def test_the_shipped_searches_are_counted(method, tried):
    assert searches.trials("budget", loaded())[method] == tried

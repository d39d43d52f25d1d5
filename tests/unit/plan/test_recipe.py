"""How two recipes differ."""

from suite.plan.recipe import differences


def test_nothing_differs_between_equal_recipes():
    recipe = {"a": {"b": [1, 2], "c": {}}, "d": None}
    assert differences(recipe, {"d": None, "a": {"c": {}, "b": [1, 2]}}) == []


def test_what_differs_comes_by_dotted_key_in_alphabetical_order():
    recorded = {"z": 1, "a": {"budget": "row", "same": 1}, "code": {"leap": "0123456789ab" * 6}}
    wanted = {"a": {"budget": "layer", "same": 1}, "code": {"leap": "f" * 64}, "b": {"c": 0.5}}
    assert differences(recorded, wanted) == [
        "a.budget was 'row', now 'layer'",
        "b.c was not there, now 0.5",
        "code.leap was 01234567, now ffffffff",
        "z was 1, now not there",
    ]

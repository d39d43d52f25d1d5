"""One line a mistake: where it was written, what is wrong, and what may have been meant."""

import pytest

from suite.plan import config

BASE = {"scale": "mini", "hub_mirror": ""}
TEXT = {"hub": "a/b", "name": "", "split": "train", "column": "text"}
MODEL = {"source": {"miniature": "mini-llama-3.2-1b"}, "dtype": "float32", "bos": True}


def mini_model(**settings) -> dict:
    return {"models": {"mini-llama-3.2-1b": settings}}


MISTAKES = {
    "a scale": ({"scale": "minii"}, ["scale: there is no 'minii' (did you mean 'mini'?)"]),
    "a key at the top": (
        {"gridd": {}}, ["config: there is no setting 'gridd' (did you mean 'grid'?)"],
    ),
    "a key of the grid": (
        {"grid": {"method": ["wanda"]}},
        ["grid: there is no setting 'method' (did you mean 'methods'?)"],
    ),
    "a key of a corpus": (
        {"corpora": {"training": {"lenght": 3}}},
        ["corpora.training: there is no setting 'lenght' (did you mean 'length'?)"],
    ),
    "a key of a task": (
        {"evaluation": {"tasks": {"piqa": {"limitt": 3}}}},
        ["evaluation.tasks.piqa: there is no setting 'limitt' (did you mean 'limit'?)"],
    ),
    "percent": (
        {"grid": {"sparsities": [50]}},
        ["grid.sparsities.0: 50 is out of range: it must be below 1"],
    ),
    "a number that is wrong in two ways": (
        {"grid": {"seeds": [-0.5]}}, ["grid.seeds.0: -0.5 is not of type 'integer'"],
    ),
    "a number of no kind at all": (
        {"execution": {"recompute": 3}},
        ["execution.recompute: 3 is not of type 'boolean', 'string' (Draw masks again in the "
         "backward pass, to save memory.)"],
    ),
    # a key that is missing since it was misspelt
    "a key that has to be set": (
        {"models": {"m": {"source": MODEL["source"], "dtipe": "float32", "bos": True}}},
        ["models.m: there is no setting 'dtipe' (did you mean 'dtype'?)"],
    ),
    "a key that has to be set, and another that is not": (
        {"models": {"m": {"source": MODEL["source"], "dtipe": "float32"}}},
        ["models.m: there is no setting 'dtipe' (did you mean 'dtype'?)",
         "models.m: bos must be set"],
    ),
    "keys that are not set": (
        {"models": {"m": {"source": {"pth": "/a"}}}},
        ["models.m: dtype, bos must be set",
         "models.m.source: there is no setting 'pth' (did you mean 'path'?)"],
    ),
    "a kind of source beside the scale's": (
        mini_model(source={"pth": "/a"}),
        ["models.mini-llama-3.2-1b.source: there is no setting 'pth' (did you mean 'path'?)"],
    ),
    "a key of a text": (
        {"corpora": {"validation": {"text": {**TEXT, "documentz": 3}}}},
        ["corpora.validation.text: there is no setting 'documentz' (did you mean 'documents'?)"],
    ),
    "what a key that is not set may ask for": (
        {"corpora": {"in_domain": {"text": {"miniature": "train"}, "sequences": 3, "length": 9}}},
        ["corpora.in_domain: packing must be set"],
    ),
    "two names of models": (
        {"models": {"a b": MODEL, "a;b": MODEL}},
        ["models.a b: 'a b' does not match '^[A-Za-z0-9][A-Za-z0-9._-]*$'",
         "models.a;b: 'a;b' does not match '^[A-Za-z0-9][A-Za-z0-9._-]*$'"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_said_once_where_it_was_written(name):
    overrides, lines = MISTAKES[name]
    with pytest.raises(config.ConfigError) as error:
        config.load({**BASE, **overrides})
    assert str(error.value).splitlines() == lines

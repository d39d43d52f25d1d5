"""One line a mistake: where it was written, what is wrong, and what may have been meant."""

import pytest

from suite.plan import config, studies

BASE = {"scale": "mini", "hub_mirror": ""}
LEAP = "methods.leap: there is no setting 'stepz' (did you mean 'steps'?)"
TEXT = {"hub": "a/b", "name": "", "split": "train", "column": "text"}
OF_DIGITS = "cannot be used: it names folders, so write 0.0001 or more, with at most six decimals"
AT_ONE_SPARSITY = ("tokens", "ablations", "leap_search", "elsa_search")  # studies of scale mini
MODEL = {"source": {"miniature": "mini-llama-3.2-1b"}, "dtype": "float32", "bos": True}


OWN = {"mine": {**MODEL, "source": {"hub": {"id": "owner/name", "revision": "0" * 40}}}}
OWN_MODEL = (
    "{}.models: mine is not a miniature, and only miniatures know the generated data of {}: run it "
    "at scale laptop (or claim, with all methods), or set real data"
)
REAL_TASKS = config.scale_settings("laptop")["evaluation"]["tasks"]
OF_LAPTOP = [study for study in studies.STUDIES if study in config.scale_settings("laptop")]


def learned(**settings) -> dict:
    return {"methods": {"leap": settings}}


def layer_wise(**settings) -> dict:
    return {"methods": {"wanda": settings}}


def mini_model(**settings) -> dict:
    return {"models": {"mini-llama-3.2-1b": settings}}


def no_method(name: str, meant: str) -> str:
    return f"there is no method '{name}' (did you mean '{meant}'?) under methods"


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
    # 1e-05 is how Python and paths would have it
    "a sparsity too near 0 to be written in digits": (
        {"grid": {"sparsities": [0.5, 0.00001]}}, [f"grid.sparsities.1: 1e-05 {OF_DIGITS}"],
    ),
    "the sum of 0.1 and 0.2": (
        {"sweep": {"sparsities": [0.1 + 0.2]}},
        [f"sweep.sparsities.0: 0.30000000000000004 {OF_DIGITS}"],
    ),
    "a sparsity that is no number": (
        {"grid": {"sparsities": [float("nan")]}}, [f"grid.sparsities.0: nan {OF_DIGITS}"],
    ),
    "a sparsity from the command line": (
        {"opponents": {"sparsities": ["1.0e-5"]}}, [f"opponents.sparsities.0: 1e-05 {OF_DIGITS}"],
    ),
    "a sparsity from the command line, which YAML takes for text": (
        {"grid": {"sparsities": ["1e-5"]}},
        ["grid.sparsities.0: '1e-5' is not of type 'number'"],
    ),
    "a sparsity that is rounded to 1": (
        {"grid": {"sparsities": ["0.99999999999999999"]}},
        ["grid.sparsities.0: 1.0 is out of range: it must be below 1"],
    ),
    "a sparsity that is true": (
        {"grid": {"sparsities": ["true"]}}, ["grid.sparsities.0: True is not of type 'number'"],
    ),
    "sparsities of all studies": (
        {
            **{study: {"sparsities": [1e-5]} for study in studies.GRIDS},
            **{study: {"sparsity": 1e-5} for study in AT_ONE_SPARSITY},
            "patterns": {"methods": {"patch": [0.4, 1e-5]}},
        },
        [f"{place}: 1e-05 {OF_DIGITS}" for place in (
            *(f"{study}.sparsities.0" for study in studies.GRIDS),
            "patterns.methods.patch.1",
            *(f"{study}.sparsity" for study in AT_ONE_SPARSITY),
        )],
    ),
    # as --config hands on what is nested
    "a number in text": (
        {"grid": {"sparsities": ["0.5", "1.2"]}},
        ["grid.sparsities.1: 1.2 is out of range: it must be below 1"],
    ),
    "a mirror that is not there": (
        {"hub_mirror": "nowhere"},
        ['hub_mirror: there is no folder nowhere; give an existing one, or "" for the hub'],
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
    # methods that others are like
    "a key of a method": (learned(stepz=3), [LEAP]),
    "two keys of a method": (
        layer_wise(budgett="row", alocation="owl"),
        ["methods.wanda: there is no setting 'alocation' (did you mean 'allocation'?)",
         "methods.wanda: there is no setting 'budgett' (did you mean 'budget'?)"],
    ),
    "a value of a method": (
        learned(steps=0), ["methods.leap.steps: 0 is less than the minimum of 1 "
                           "(Optimiser steps.)"],
    ),
    "a key of a variant": (
        {"methods": {"leap-start": {"stepz": 3}}}, [LEAP.replace("leap", "leap-start")],
    ),
    "a key of a study's variant": (
        {"ablations": {"variants": {"mine": {"stepz": 3}}}},
        [LEAP.replace("methods.leap", "ablations.variants.mine")],
    ),
    "a key of a method and another of its variant": (
        {"methods": {"wanda": {"budgett": "row"}, "wanda-owl": {"alocation": "owl"}}},
        ["methods.wanda: there is no setting 'budgett' (did you mean 'budget'?)",
         "methods.wanda-owl: there is no setting 'alocation' (did you mean 'allocation'?)"],
    ),
    "what a variant alone makes wrong": (
        {"methods": {"w": {"like": "wanda-owl", "budget": "global"}}},
        ["methods.w.allocation: budget global spreads sparsity itself; use another budget or "
         "allocation uniform"],
    ),
    "too much text": (
        {"methods": {"admm": {"calibration": {"corpus": "training", "sequences": 6401}}}},
        ["methods.admm.calibration.sequences: 6401 are more than there are: lower it, or raise "
         "corpora.training.sequences, 6400"],
    ),
    # names of methods
    "like": (
        {"methods": {"wanda-owl": {"like": "wandaa"}}},
        [f"methods.wanda-owl.like: {no_method('wandaa', 'wanda')}"],
    ),
    "like, of a method with variants": (
        learned(like="leep"), [f"methods.leap.like: {no_method('leep', 'leap')}"],
    ),
    "like in a study's variant": (
        {"ablations": {"variants": {"mine": {"like": "leep"}}}},
        [f"ablations.variants.mine.like: {no_method('leep', 'leap')}"],
    ),
    "like in a circle with others behind it": (
        {"methods": {"a": {"like": "b"}, "b": {"like": "a"}, "c": {"like": "a"}}},
        ["methods.a.like: leads back to itself; name another method"],
    ),
    "like no name": (
        {"methods": {"w": {"like": ["wanda"]}}}, ["methods.w.like: ['wanda'] is no name"],
    ),
    "preset": (
        learned(preset="papr"),
        ["methods.leap.preset: there is no preset 'papr' (did you mean 'paper'?)"],
    ),
    "preset no name": (learned(preset=None), ["methods.leap.preset: None is no name"]),
    "a method": (
        {"methods": {"wandaa": {"budget": "row"}, "other": {"like": "wandaa"}}},
        ["methods.wandaa: there is no method 'wandaa' (did you mean 'wanda'?)"],
    ),
    "a variant with a misspelt name": (
        {"methods": {"leap-strat": {"steps": 3}}},
        ["methods.leap-strat: there is no method 'leap-strat' (did you mean 'leap-start'?)"],
    ),
    "a variant in the grid": (
        {"grid": {"methods": ["wanda-owll"]}},
        ["grid.methods: 'wanda-owll' has no settings: there is no method 'wanda-owll' "
         "(did you mean 'wanda-owl'?)"],
    ),
    "warm_start": (
        learned(warm_start="wandaa"),
        [f"methods.leap.warm_start: {no_method('wandaa', 'wanda')}"],
    ),
    "warm_start nearly random": (
        learned(warm_start="randm"),
        [f"methods.leap.warm_start: {no_method('randm', 'random')}"],
    ),
    "warm_start in a study": (
        {"ablations": {"variants": {"mine": {"warm_start": "magnitud"}}}},
        [f"ablations.variants.mine.warm_start: {no_method('magnitud', 'magnitude')}"],
    ),
    "warm_start from what is trained": (
        learned(warm_start="maskllm"),
        ["methods.leap.warm_start: 'maskllm' is neither random nor one of the layer-wise methods "
         "that have settings under methods"],
    ),
    "mask_from": (
        {"methods": {"reconstruct": {"mask_from": "wandaa"}}},
        [f"methods.reconstruct.mask_from: {no_method('wandaa', 'wanda')}"],
    ),
    "sparse_masks": (
        {"methods": {"patch": {"sparse_masks": "wanda-24"}}},
        [f"methods.patch.sparse_masks: {no_method('wanda-24', 'wanda-2-4')}"],
    ),
    "densities": (
        layer_wise(allocation={"from": "leep"}),
        [f"methods.wanda.allocation.from: {no_method('leep', 'leap')}"],
    ),
    "the method of a varied study": (
        {"ablations": {"base": "leep"}}, [f"ablations.base: {no_method('leep', 'leap')}"],
    ),
    "a method of the tokens": (
        {"tokens": {"calibrated": {"methods": ["admmm"]}}},
        [f"tokens.calibrated.methods: {no_method('admmm', 'admm')}"],
    ),
    "a method of the tokens that is learned": (
        {"tokens": {"calibrated": {"methods": ["leap"]}}},
        ["tokens.calibrated.methods: leap is not calibrated; list it under tokens.trained"],
    ),
    "a method of a study": (
        {"sweep": {"methods": ["lep"]}},
        ["sweep.methods: 'lep' has no settings: there is no method 'lep' (did you mean 'leap'?)"],
    ),
    "a model of a study": (
        {"leap_search": {"models": ["mini-qwen-2.5"]}},
        ["leap_search.models: there is no model 'mini-qwen-2.5' (did you mean "
         "'mini-qwen-2.5-0.5b'?) under models"],
    ),
    # generated data and real
    "a task in the column of another": (
        {"evaluation": {"tasks": {"piqa": {"task": "mini_mmlu", "dataset": "mini_mmlu"}}}},
        ["evaluation.tasks.piqa.task: mini_mmlu would stand in the column of piqa: write piqa, or "
         "mini_piqa for miniatures"],
    ),
    "a task that there is no column for": (
        {"scale": "laptop", "evaluation": {"tasks": {"arc_easy": {"task": "hellaswag"}}}},
        ["evaluation.tasks.arc_easy.task: hellaswag would stand in the column of arc_easy: write "
         "arc_easy, or mini_arc_easy for miniatures"],
    ),
    "a task with the data of another": (
        {"evaluation": {"tasks": {"piqa": {"dataset": "mini_mmlu"}}}},
        ["evaluation.tasks.piqa.dataset: mini_mmlu is not the data of mini_piqa: write mini_piqa"],
    ),
    "a real task among generated ones": (
        {"evaluation": {"tasks": {"piqa": {"task": "piqa", "dataset": "baber/piqa"}}}},
        ["evaluation.tasks.piqa.task: piqa is a real task among generated ones, which cannot be "
         "mixed: write mini_piqa"],
    ),
    "a generated task among real ones": (
        {"scale": "laptop", "evaluation": {"tasks": {"mmlu": {"task": "mini_mmlu"}}}},
        ["evaluation.tasks.mmlu.task: mini_mmlu is a generated task among real ones, which cannot "
         "be mixed: write mmlu"],
    ),
    "real tasks for a miniature": (
        {"evaluation": {"tasks": REAL_TASKS}, "grid": {"models": ["mini-llama-3.2-1b"]}},
        ["grid.models: mini-llama-3.2-1b is a miniature and knows nothing that the real tasks of "
         "evaluation.tasks ask: run it at scale mini, with generated ones"],
    ),
    "a miniature where tasks are real": (
        {"scale": "laptop", "models": {"m": MODEL}, "grid": {"models": ["smollm2-135m", "m"]}},
        ["grid.models: m is a miniature and knows nothing that the real tasks of evaluation.tasks "
         "ask: run it at scale mini, with generated ones"],
    ),
    "a real task with generated data": (
        {"scale": "laptop", "evaluation": {"tasks": {"piqa": {"dataset": "mini_piqa"}}}},
        ["evaluation.tasks.piqa.dataset: mini_piqa is generated, but piqa a real task: write the "
         "name of its data set on the hub, as scale laptop does"],
    ),
    "a model of one's own at scale mini": (
        {"models": OWN, "grid": {"models": ["mine"]}},
        [OWN_MODEL.format("grid", "corpora.calibration.text, corpora.training.text, "
                          "corpora.validation.text, corpora.perplexity.text, evaluation.tasks")],
    ),
    "a model of one's own at scale smoke, beside a miniature": (
        {"scale": "smoke", "models": OWN, "grid": {"models": ["mini-llama-3.2-1b", "mine"]}},
        [OWN_MODEL.format("grid", "corpora.calibration.text, corpora.training.text, "
                          "corpora.perplexity.text, evaluation.tasks")],
    ),
    "a model of one's own in a study of miniatures": (
        {"models": OWN, "sweep": {"models": ["mine"]}},
        [OWN_MODEL.format("sweep", "corpora.calibration.text, corpora.training.text, "
                          "corpora.validation.text, corpora.perplexity.text, evaluation.tasks")],
    ),
    "a real model that sees a generated text": (
        {"scale": "laptop", "models": OWN, "grid": {"models": ["mine"]},
         "corpora": {"calibration": {"text": {"miniature": "train"}}},
         **{study: {"models": ["mine"]} for study in OF_LAPTOP}},
        [OWN_MODEL.format("grid", "corpora.calibration.text")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_said_once_where_it_was_written(name):
    overrides, lines = MISTAKES[name]
    with pytest.raises(config.ConfigError) as error:
        config.load({**BASE, **overrides})
    assert str(error.value).splitlines() == lines


def test_text_that_is_missing_is_said_once_for_all_that_need_it(monkeypatch):
    scale = config.scale_settings("mini")
    del scale["corpora"]["training"]
    scale["methods"]["admm"]["calibration"] = {"corpus": "training", "sequences": 9}
    monkeypatch.setattr(config, "scale_settings", lambda name: scale)
    with pytest.raises(config.ConfigError) as error:
        config.load(BASE)
    assert str(error.value) == "corpora.training: must be set, since leap is trained on it"

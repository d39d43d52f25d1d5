"""One line a mistake: where it was written, what is wrong, and what may have been meant."""

import pytest

from suite.plan import config

BASE = {"scale": "mini", "hub_mirror": ""}
LEAP = "methods.leap: there is no setting 'stepz' (did you mean 'steps'?)"
TEXT = {"hub": "a/b", "name": "", "split": "train", "column": "text"}
OF_DIGITS = "cannot be used: it names folders, so write 0.0001 or more, with at most six decimals"
# studies of scale mini
GRIDS = ("sweep", "allocation", "opponents")
AT_ONE_SPARSITY = {
    "tokens": "amounts", "ablations": "variants", "leap_search": "variants",
    "elsa_search": "variants",
}  # fmt: skip
MODEL = {"source": {"miniature": "mini-llama-3.2-1b"}, "dtype": "float32", "bos": True}

GRID = {
    "models": ["mini-llama-3.2-1b"], "methods": ["wanda"], "sparsities": [0.5], "seeds": [0],
}  # fmt: skip
OWN = {"mine": {**MODEL, "source": {"hub": {"id": "owner/name", "revision": "0" * 40}}}}
OWN_MODEL = (
    "{}.models: mine is not a miniature, and only miniatures know the generated data of {}: run it "
    "at scale own (or claim, with all methods), or set real data"
)
LAMBADA = {"task": "lambada_openai", "dataset": "EleutherAI/lambada_openai", "limit": 0}
SIX = ("piqa", "arc_easy", "arc_challenge", "winogrande", "openbookqa", "mmlu")
REAL_TASKS = config.scale_settings("laptop")["evaluation"]["tasks"]
OF_LAPTOP = config.scale_settings("laptop")["studies"]


def learned(**settings) -> dict:
    return {"methods": {"leap": settings}}


def of(study: str, kind: str, **changes) -> dict:
    """Changes of how a study says its cells."""
    return {"studies": {study: {kind: changes}}}


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
        of("sweep", "grid", sparsities=[0.1 + 0.2]),
        [f"studies.sweep.grid.sparsities.0: 0.30000000000000004 {OF_DIGITS}"],
    ),
    "a sparsity that is no number": (
        {"grid": {"sparsities": [float("nan")]}}, [f"grid.sparsities.0: nan {OF_DIGITS}"],
    ),
    "a sparsity from the command line": (
        of("opponents", "grid", sparsities=["1.0e-5"]),
        [f"studies.opponents.grid.sparsities.0: 1e-05 {OF_DIGITS}"],
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
        {"studies": {
            "patterns": {"grid": {"methods": {"patch": [0.4, 1e-5]}}},
            **{study: {"grid": {"sparsities": [1e-5]}} for study in GRIDS},
            **{study: {kind: {"sparsity": 1e-5}} for study, kind in AT_ONE_SPARSITY.items()},
        }},
        [f"studies.{place}: 1e-05 {OF_DIGITS}" for place in (
            "patterns.grid.methods.patch.1",
            *(f"{study}.grid.sparsities.0" for study in GRIDS),
            *(f"{study}.{kind}.sparsity" for study, kind in AT_ONE_SPARSITY.items()),
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
        of("ablations", "variants", variants={"mine": {"stepz": 3}}),
        [LEAP.replace("methods.leap", "studies.ablations.variants.variants.mine")],
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
        of("ablations", "variants", variants={"mine": {"like": "leep"}}),
        [f"studies.ablations.variants.variants.mine.like: {no_method('leep', 'leap')}"],
    ),
    "like in a circle with others behind it": (
        {"methods": {"a": {"like": "b"}, "b": {"like": "a"}, "c": {"like": "a"}}},
        ["methods.a.like: leads back to itself; name another method"],
    ),
    "like no name": (
        {"methods": {"w": {"like": ["wanda"]}}},
        ["methods.w.like: ['wanda'] is not of type 'string', 'null' (Name of another method.)"],
    ),
    "preset": (
        learned(preset="papr"),
        ["methods.leap.preset: there is no preset 'papr' (did you mean 'paper'?)"],
    ),
    "preset no name": (
        learned(preset=None),
        ["methods.leap.preset: None is not of type 'string' (Name of a set of settings.)"],
    ),
    "a name of a run that is taken": (
        {"run": "logs"},
        ['run: "logs" cannot be used (results/ has a folder of that name for something else; take '
         "another)"],
    ),
    "a calibration on nothing": (
        {"corpora": {"calibration": {"sequences": 0}}},
        ["corpora.calibration.sequences: 0 is less than the minimum of 1 (Number of sequences.)"],
    ),
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
        of("ablations", "variants", variants={"mine": {"warm_start": "magnitud"}}),
        ["studies.ablations.variants.variants.mine.warm_start: "
         + no_method("magnitud", "magnitude")],
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
        of("ablations", "variants", base="leep"),
        [f"studies.ablations.variants.base: {no_method('leep', 'leap')}"],
    ),
    "a method of the tokens": (
        of("tokens", "amounts", calibrated={"methods": ["admmm"]}),
        [f"studies.tokens.amounts.calibrated.methods: {no_method('admmm', 'admm')}"],
    ),
    "a method of the tokens that is learned": (
        of("tokens", "amounts", calibrated={"methods": ["leap"]}),
        ["studies.tokens.amounts.calibrated.methods: leap is not calibrated; list it under "
         "studies.tokens.amounts.trained"],
    ),
    "a method of a study": (
        of("sweep", "grid", methods=["lep"]),
        ["studies.sweep.grid.methods: 'lep' has no settings: there is no method 'lep' (did you "
         "mean 'leap'?)"],
    ),
    "a model of a study": (
        of("leap_search", "variants", models=["mini-qwen-2.5"]),
        ["studies.leap_search.variants.models: there is no model 'mini-qwen-2.5' (did you mean "
         "'mini-qwen-2.5-0.5b'?) under models"],
    ),
    # studies
    "studies where they once stood": (
        {"sweep": {"sparsities": [0.5]}, "elsa_search": {"seeds": [1]}, "gridd": {}},
        ["sweep: belongs under studies now: studies.sweep",
         "elsa_search: belongs under studies now: studies.elsa_search"],
    ),
    "a name of a study that is none of a target": (
        {"studies": {"My-study": {"table": "main", "grid": GRID}}},
        ["studies.My-study: 'My-study' does not match '^[a-z][a-z0-9_]*$'"],
    ),
    "a study that does not say its cells": (
        {"studies": {"mine": {"table": "main"}}},
        ["studies.mine: set one of grid, variants, amounts"],
    ),
    "a study that says its cells twice": (
        of("sweep", "variants", base="leap", models=["mini-llama-3.2-1b"], sparsity=0.5,
           seeds=[0], variants={"hard": {"hard": True}}),
        ["studies.sweep: set one of grid, variants, amounts, not grid and variants"],
    ),
    "a study as they once were": (
        {"studies": {"mine": GRID}},
        ["studies.mine: there is no setting 'methods' (known: amounts, figure, grid, measure, "
         "table, variants)",
         "studies.mine: there is no setting 'models' (known: amounts, figure, grid, measure, "
         "table, variants)",
         "studies.mine: there is no setting 'seeds' (known: amounts, figure, grid, measure, table, "
         "variants)",
         "studies.mine: there is no setting 'sparsities' (known: amounts, figure, grid, measure, "
         "table, variants)",
         "studies.mine: table must be set"],
    ),
    "a measure of a study": (
        {"studies": {"mine": {"table": "main", "measure": "tests", "grid": GRID}}},
        ['studies.mine.measure: "tests" is not one of test, validation (test = tasks and '
         "perplexity, which are reported; validation = perplexity of the validation corpus alone, "
         "by which settings are chosen; test if it is not set.)"],
    ),
    "a list of methods without sparsities": (
        {"studies": {"mine": {"table": "main", "grid": {"models": GRID["models"],
                                                        "methods": ["wanda"]}}}},
        ["studies.mine.grid: sparsities, seeds must be set"],
    ),
    "a mapping of methods without seeds": (
        {"studies": {"mine": {"table": "main", "grid": {"models": GRID["models"],
                                                        "methods": {"wanda": [0.5]}}}}},
        ["studies.mine.grid: seeds must be set"],
    ),
    "a sparsity for a method that is no list": (
        {"grid": {"methods": {"wanda": 0.5}}},
        ["grid.methods.wanda: 0.5 is not of type 'array' (Sparsities of the method.)"],
    ),
    "one sparsity that variants cannot have": (
        {"studies": {"mine": {"table": "ablations", "variants": {
            "base": "maskllm", "models": GRID["models"], "sparsity": 0.6, "seeds": [0],
            "variants": {"cold": {"tau": [1, 0.05]}, "large": {"batch": 32}}}}}},
        ["studies.mine.variants.sparsity: 0.6 cannot be had with pattern 2:4"],
    ),
    "a variant with the name of another method": (
        of("ablations", "variants", variants={"per-block": {"hard": True}}),
        ["studies.ablations.variants.variants.per-block: there is another method leap-per-block; "
         "rename one of them"],
    ),
    "an amount of text with the name of another method": (
        {"methods": {"admm-512-sequences": {"like": "admm", "rho": 2.0}}},
        ["studies.tokens.amounts.calibrated.sequences: there is another method "
         "admm-512-sequences; rename one of them"],
    ),
    # generated data and real
    "a generated task under the name of another": (
        {"evaluation": {"tasks": {"piqa": {"task": "mini_mmlu", "dataset": "mini_mmlu"}}}},
        ["evaluation.tasks.piqa.task: mini_mmlu would stand under the name piqa: write mini_piqa, "
         "or call it mmlu"],
    ),
    "another task with the data of the scale's": (
        {"scale": "laptop", "evaluation": {"tasks": {"arc_easy": {"task": "hellaswag"}}}},
        ["evaluation.tasks.arc_easy: dataset must be set"],
    ),
    "a task with the data of another": (
        {"evaluation": {"tasks": {"piqa": {"dataset": "mini_mmlu"}}}},
        ["evaluation.tasks.piqa.dataset: mini_mmlu is not the data of mini_piqa: write mini_piqa"],
    ),
    "a real task among generated ones": (
        {"evaluation": {"tasks": {"piqa": {"task": "piqa", "dataset": "baber/piqa"}}}},
        ["evaluation.tasks.piqa.task: piqa is a real task among generated ones, which cannot be "
         "mixed: leave out one kind (`piqa: null`)"],
    ),
    "a generated task among real ones": (
        {"scale": "laptop",
         "evaluation": {"tasks": {"mmlu": {"task": "mini_mmlu", "dataset": "mini_mmlu"}}}},
        ["evaluation.tasks.mmlu.task: mini_mmlu is a generated task among real ones, which cannot "
         "be mixed: leave out one kind (`mmlu: null`)"],
    ),
    # any tasks
    "no tasks": (
        {"evaluation": {"tasks": dict.fromkeys(SIX)}},
        ["evaluation.tasks: {} should be non-empty (Tasks of lm-evaluation-harness by the names "
         "that their results have; null leaves out one that the scale has.)"],
    ),
    "no task in the average": (
        {"evaluation": {"tasks": {task: {"averaged": False} for task in SIX}}},
        ["evaluation.tasks: none counts in the average; add one whose metric is a share of correct "
         "items, such as acc, or leave out `averaged: false`"],
    ),
    "an average of what is no share": (
        {"scale": "laptop", "evaluation": {"tasks": {"lambada": {
            **LAMBADA, "metric": "perplexity", "averaged": True}}}},
        ["evaluation.tasks.lambada.averaged: perplexity is no share of correct items, which alone "
         "can be averaged; leave it out"],
    ),
    "fewer than no solved items": (
        {"scale": "laptop", "evaluation": {"tasks": {"arc_challenge": {"fewshot": -1}}}},
        ["evaluation.tasks.arc_challenge.fewshot: -1 is less than the minimum of 0 (How many "
         "solved items stand before the one that is asked; 0 if it is not set.)"],
    ),
    "a name that results have": (
        {"scale": "laptop", "evaluation": {"tasks": {"average": LAMBADA}}},
        ["evaluation.tasks.average: results call something else average; take another name"],
    ),
    "the name of a task's other score": (
        {"scale": "laptop", "evaluation": {"tasks": {"piqa_norm": LAMBADA}}},
        ["evaluation.tasks.piqa_norm: results call something else piqa_norm; take another name"],
    ),
    "one heading twice": (
        {"scale": "laptop", "evaluation": {"tasks": {"lambada": {**LAMBADA, "title": "PIQA"}}}},
        ["evaluation.tasks.lambada.title: PIQA is the heading of piqa; take another"],
    ),
    "a task that the scale does not have": (
        {"scale": "laptop", "evaluation": {"tasks": {"piga": None}}},
        ["evaluation.tasks.piga: None is not of type 'object'"],
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
        {"models": OWN, **of("sweep", "grid", models=["mine"])},
        [OWN_MODEL.format("studies.sweep.grid", "corpora.calibration.text, corpora.training.text, "
                          "corpora.validation.text, corpora.perplexity.text, evaluation.tasks")],
    ),
    "a real model that sees a generated text": (
        {"scale": "laptop", "models": OWN, "grid": {"models": ["mine"]},
         "corpora": {"calibration": {"text": {"miniature": "train"}}},
         "studies": {study: {"grid" if "grid" in values else "variants": {"models": ["mine"]}}
                     for study, values in OF_LAPTOP.items()}},
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

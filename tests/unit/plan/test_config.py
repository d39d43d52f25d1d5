"""Settings: merging, what is accepted, and what is said about what is not."""

import re
from dataclasses import fields

import pytest
import yaml

import leap
from baselines import registry
from leap.methods import elsa
from suite.plan import calibration, config
from suite.plan.grid import cells
from suite.plan.methods import known_methods, method_schema, rule_folders, schema_file
from suite.plan.validation import SCHEMAS, read_yaml
from tests.conftest import ROOT

BASE = {"scale": "mini", "hub_mirror": ""}
ONE = {"models": ["mini-llama-3.2-1b"], "methods": ["wanda"]}


SCALES = ("smoke", "mini", "own", "laptop", "claim", "workstation", "paper")


@pytest.mark.parametrize("scale", SCALES)
def test_every_scale_is_complete(scale):
    settings = config.load({**BASE, "scale": scale})
    assert set(settings["grid"]["models"]) <= set(settings["models"])
    assert list(settings["evaluation"]["tasks"]) == [
        "piqa", "arc_easy", "arc_challenge", "winogrande", "openbookqa", "mmlu",
    ]  # fmt: skip


def test_overrides_win_key_by_key_and_lists_are_replaced():
    settings = config.load(
        {**BASE, "grid": {"sparsities": [0.7]}, "methods": {"wanda": {"budget": "layer"}}}
    )
    assert settings["grid"]["sparsities"] == [0.7]
    assert settings["grid"]["methods"][-1] == "leap"
    assert settings["methods"]["wanda"] == {"budget": "layer"}


def test_text_from_the_command_line_becomes_what_the_schema_asks_for():
    text = {"grid": {"sparsities": ["0.7"], "seeds": ["1"]}, "tracking": {"live": "true"}}
    text["evaluation"] = {"tasks": {"piqa": {"limit": "7"}}}
    text["execution"] = {"micro_batch": "4", "recompute": "auto", "sharding": "true"}
    settings = config.load({**BASE, **text})
    assert settings["execution"] == {"micro_batch": 4, "recompute": "auto", "sharding": True}
    assert settings["grid"]["sparsities"] == [0.7]
    assert settings["grid"]["seeds"] == [1]
    assert settings["tracking"]["live"] is True
    assert settings["evaluation"]["tasks"]["piqa"]["limit"] == 7


def test_tasks_are_added_changed_and_left_out():
    hellaswag = {"task": "hellaswag", "dataset": "Rowan/hellaswag", "limit": 5}
    arc = {"task": "arc_challenge", "dataset": "allenai/ai2_arc"}
    # as text where it stands in --config
    tasks = {"hellaswag": hellaswag, "piqa": None, "mmlu": "null", "arc_easy": arc}
    scale = config.load({**BASE, "scale": "laptop"})["evaluation"]["tasks"]
    arc["revision"] = scale["arc_challenge"]["revision"]
    found = config.load({**BASE, "scale": "laptop", "evaluation": {"tasks": tasks}})
    assert found["evaluation"]["tasks"] == {
        "arc_easy": {**arc, "limit": 1000},  # without the title of the other
        **{name: scale[name] for name in ("arc_challenge", "winogrande", "openbookqa")},
        "hellaswag": hellaswag,
    }


def test_a_source_of_another_kind_replaces_the_one_below(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    source = {"path": str(tmp_path)}
    override = {"scale": "laptop", "models": {"smollm2-135m": {"source": source}}}
    settings = config.load({**BASE, **override})
    assert settings["models"]["smollm2-135m"]["source"] == source


OWN = {
    "models": {
        "mine": {
            "source": {"hub": {"id": "owner/name", "revision": "0" * 40}},
            "dtype": "bfloat16", "bos": True,
        },
    },
    "grid": {"models": ["mine"]},
}  # fmt: skip


@pytest.mark.parametrize("scale", ["own", "laptop", "claim", "workstation", "paper"])
def test_a_model_of_ones_own_goes_with_the_scales_of_real_data(scale):
    settings = config.load({**BASE, "scale": scale, **OWN})
    assert {cell.model for cell in cells(settings)} == {"mine"}


def test_a_model_of_ones_own_goes_with_a_small_scale_where_its_data_are_real_ones():
    real = config.scale_settings("laptop")
    corpora = {name: {"text": real["corpora"][name]["text"]} for name in real["corpora"]}
    del corpora["in_domain"]
    tasks = {name: {**task, "limit": 5} for name, task in real["evaluation"]["tasks"].items()}
    settings = config.load({**BASE, **OWN, "corpora": corpora, "evaluation": {"tasks": tasks}})
    assert {cell.model for cell in cells(settings)} == {"mine"}
    assert settings["corpora"]["calibration"]["length"] == 128  # of scale mini


def test_a_model_that_is_defined_and_not_run_is_no_mistake():
    assert "mine" in config.load({**BASE, "models": OWN["models"]})["models"]


@pytest.mark.parametrize("scale", ["own", "laptop", "claim", "workstation", "paper"])
def test_every_data_set_of_a_scale_is_pinned(scale):
    settings = config.load({**BASE, "scale": scale})
    commits: dict[str, set[str]] = {}
    for corpus in settings["corpora"].values():
        commits.setdefault(corpus["text"]["hub"], set()).add(corpus["text"]["revision"])
    for task in settings["evaluation"]["tasks"].values():
        commits.setdefault(task["dataset"], set()).add(task["revision"])
    assert all(len(found) == 1 for found in commits.values())


def test_a_text_of_another_kind_replaces_the_scales_and_a_further_setting_does_not():
    def text(scale: str, **changes) -> dict:
        overrides = {"scale": scale, "corpora": {"validation": {"text": changes}}}
        return config.load({**BASE, **overrides})["corpora"]["validation"]["text"]

    own = config.load({**BASE, "scale": "laptop"})["corpora"]["validation"]["text"]
    assert "skip" not in own
    assert text("laptop", skip=7) == {**own, "skip": 7}
    assert text("mini", **own) == own
    assert text("mini", miniature="train") == {"miniature": "train"}


def test_a_revision_goes_with_the_data_set_that_it_is_of():
    text = {"hub": "my/text", "column": "body"}
    overrides = {"scale": "laptop", "corpora": {"calibration": {"text": text}}}
    overrides["evaluation"] = {"tasks": {"piqa": {"dataset": "my/piqa"}, "mmlu": {"limit": 5}}}
    settings = config.load({**BASE, **overrides})
    assert settings["corpora"]["calibration"]["text"] == {
        "hub": "my/text", "name": "en", "split": "train", "column": "body", "documents": 4000,
    }  # fmt: skip
    tasks = settings["evaluation"]["tasks"]
    assert "revision" not in tasks["piqa"] and "revision" in tasks["mmlu"]


# settings that a parameterisation has beside the trainer's
OF_THE_PATTERN = {
    "maskllm": ["pattern"],
    "patch": ["pattern", "mode", "tile", "sparse_masks"],
}


def in_grid(study: str, **changes) -> dict:
    """Changes of a study's grid."""
    return {"studies": {study: {"grid": changes}}}


BAD = {
    "unknown scale": ({"scale": "mnii"}, "scale: there is no 'mnii' (did you mean 'mini'?)"),
    "unknown key": ({"grd": {}}, "there is no setting 'grd' (did you mean 'grid'?)"),
    "key like no other": ({"colour": "red"}, "config: there is no setting 'colour' (known: "),
    "unknown nested key": (
        {"corpora": {"calibration": {"lenght": 3}}},
        "corpora.calibration: there is no setting 'lenght' (did you mean 'length'?)",
    ),
    "windows without a seed": (
        {"corpora": {"calibration": {"packing": "windows"}}},
        "corpora.calibration: seed must be set",
    ),
    "unknown method": (
        {"grid": {"methods": ["wnda"]}},
        "grid.methods: 'wnda' has no settings: there is no method 'wnda' (did you mean 'wanda'?)",
    ),
    "unknown method settings": (
        {"methods": {"wandda": {}}},
        "methods.wandda: there is no method 'wandda' (did you mean 'wanda'?)",
    ),
    "variant of nothing": (
        {"methods": {"mine": {"like": "waanda"}}},
        "methods.mine.like: there is no method 'waanda' (did you mean 'wanda'?) under methods",
    ),
    "variants of each other": (
        {"methods": {"a": {"like": "b"}, "b": {"like": "a"}}},
        "methods.a.like: leads back to itself",
    ),
    "unknown preset": (
        {"methods": {"leap": {"preset": "papr"}}},
        "methods.leap.preset: there is no preset 'papr'",
    ),
    "warm start from a trained method": (
        {"methods": {"leap": {"warm_start": "leap"}}},
        "methods.leap.warm_start: 'leap' is neither random nor one of the layer-wise methods",
    ),
    "MaskLLM from masks of another pattern": (
        {"methods": {"maskllm": {"warm_start": "wanda"}}},
        'methods.maskllm.warm_start: must be random or a method with budget "2:4", not wanda',
    ),
    "tiles from N:M masks": (
        {"methods": {"patch": {"warm_start": "wanda-2-4"}}},
        "methods.patch.warm_start: must be random or a method without an N:M budget",
    ),
    "N:M masks of a method that has none": (
        {"methods": {"patch": {"sparse_masks": "leap"}}},
        'methods.patch.sparse_masks: must be random or a method with budget "2:4", not leap',
    ),
    "fixed N:M masks that are not there": (
        {"methods": {"patch": {"mode": "tile", "sparse_masks": "random"}}},
        'methods.patch.sparse_masks: "random" cannot be used (mode tile needs masks; name a method',
    ),
    "too many patterns": (
        {"methods": {"maskllm": {"pattern": "8:16"}}},
        'methods.maskllm.pattern: "8:16" is not one of 1:4, 2:4, 4:8',
    ),
    "a density term for a pattern": (
        {"methods": {"maskllm": {"density_strength": 7}}},
        "methods.maskllm.density_strength: 7 is not one of 0 (The pattern fixes the density",
    ),
    "a sparsity that 2:4 does not have": (
        in_grid("patterns", methods={"maskllm": [0.6]}),
        "studies.patterns.grid.methods.maskllm.0: 0.6 cannot be had with pattern 2:4",
    ),
    "more sparsity than tiles have": (
        in_grid("patterns", methods={"patch": [0.4, 0.55]}),
        "studies.patterns.grid.methods.patch.1: 0.55 cannot be had with pattern 2:4",
    ),
    "unknown method of a pattern": (
        in_grid("patterns", methods={"ptch": [0.4]}),
        "studies.patterns.grid.methods: 'ptch' has no settings: there is no method 'ptch'",
    ),
    "unknown model of the patterns": (
        in_grid("patterns", models=["nano"]),
        "studies.patterns.grid.models: there is no model 'nano'",
    ),
    "unknown method setting": (
        {"methods": {"wanda": {"budgte": "row"}}},
        "methods.wanda: there is no setting 'budgte' (did you mean 'budget'?)",
    ),
    "bad method setting": (
        {"methods": {"wanda": {"budget": "column"}}},
        'methods.wanda.budget: "column" is not one of row, layer',
    ),
    "unknown model": (
        {"grid": {"models": ["mini-lama-3.2-1b"]}},
        "grid.models: there is no model 'mini-lama-3.2-1b' (did you mean 'mini-llama-3.2-1b'?)",
    ),
    "sparsity 1": ({"grid": {"sparsities": [1]}}, "grid.sparsities.0: 1 is out of range"),
    "sparsity 0": ({"grid": {"sparsities": [0.5, 0]}}, "grid.sparsities.1: 0 is out of range"),
    "sparsity in percent": (
        {"grid": {"sparsities": [50]}}, "50 is out of range: it must be below 1",
    ),
    "N:M without quotes, which YAML reads in base 60": (
        {"methods": {"wanda": {"budget": 2 * 60 + 4}}}, 'write "2:4" in quotes',
    ),
    "duplicate": ({"grid": {"sparsities": [0.5, 0.50]}}, "0.5 is listed twice"),
    "no number": ({"grid": {"sparsities": ["half"]}}, "grid.sparsities.0: 'half' is not of type"),
    "not a list": ({"grid": {"methods": "wanda"}}, "grid.methods: 'wanda' is not of type 'array'"),
    "no job on a GPU": ({"jobs_per_gpu": 0}, "jobs_per_gpu: 0 is less than the minimum of 1"),
    "densities of no method": (
        {"methods": {"wanda": {"allocation": {"from": "leep"}}}},
        "methods.wanda.allocation.from: there is no method 'leep' (did you mean 'leap'?) under",
    ),
    "densities at random": (
        {"methods": {"wanda": {"allocation": {"from": "random"}}}},
        "methods.wanda.allocation.from: there is no method 'random' (did you mean 'random-mask'?)",
    ),
    "densities of its own": (
        {"methods": {"wanda": {"allocation": {"from": "wanda"}}}},
        "methods.wanda.allocation.from: a method cannot take its own densities",
    ),
    "densities of what starts from it": (
        {"methods": {"wanda": {"allocation": {"from": "leap"}}}},
        "methods.wanda.allocation.from: leap takes masks from wanda itself; give the allocation",
    ),
    "densities where the budget has its own": (
        {"methods": {"wanda": {"budget": "global", "allocation": "owl"}}},
        "methods.wanda.allocation: budget global spreads sparsity itself",
    ),
    "no such allocation": (
        {"methods": {"wanda": {"allocation": "outliers"}}},
        'methods.wanda.allocation: "outliers" is incomplete (How sparsity is spread',
    ),
    "more text than there is": (
        {"methods": {"admm": {"calibration": {"corpus": "training", "sequences": 6401}}}},
        "methods.admm.calibration.sequences: 6401 are more than there are: lower it, or raise "
        "corpora.training.sequences, 6400",
    ),
    "another corpus": (
        {"methods": {"admm": {"calibration": {"corpus": "perplexity", "sequences": 9}}}},
        'methods.admm.calibration.corpus: "perplexity" is not one of training (Which corpus.)',
    ),
    "a corpus and no number": (
        {"methods": {"admm": {"calibration": {"corpus": "training"}}}},
        "methods.admm.calibration: sequences must be set",
    ),
    "a learned method is not calibrated": (
        {"methods": {"leap": {"calibration": {"corpus": "training", "sequences": 9}}}},
        "methods.leap: there is no setting 'calibration'",
    ),
    "masks to keep of no method": (
        {"methods": {"reconstruct": {"mask_from": "wandb"}}},
        "methods.reconstruct.mask_from: there is no method 'wandb' (did you mean 'wanda'?)",
    ),
    "masks to keep that are random": (
        {"methods": {"reconstruct": {"mask_from": "random"}}},
        "methods.reconstruct.mask_from: there is no method 'random' (did you mean 'random-mask'?)",
    ),
    "its own masks to keep": (
        {"methods": {"reconstruct": {"mask_from": "reconstruct"}}},
        "methods.reconstruct.mask_from: a method cannot keep its own masks",
    ),
    "masks to keep of what starts from them": (
        {"methods": {"leap": {"warm_start": "leap-reconstruct"}}},
        "methods.leap-reconstruct.mask_from: leap takes masks from leap-reconstruct itself",
    ),
    "masks to keep under N:M": (
        {"methods": {"reconstruct": {"mask_from": "wanda-2-4"}}},
        "methods.reconstruct.mask_from: must be a method without an N:M budget, not wanda-2-4",
    ),
    "masks to keep under tiles": (
        {"methods": {"reconstruct": {"mask_from": "patch"}}},
        "methods.reconstruct.mask_from: must be a method without an N:M budget, not patch",
    ),
    "a reconstruction with densities": (
        {"methods": {"reconstruct": {"allocation": "owl"}}},
        "methods.reconstruct: there is no setting 'allocation'",
    ),
    "no such execution": (
        {"execution": {"checkpointing": "perhaps"}},
        'execution.checkpointing: "perhaps" is not one of auto, True, False',
    ),
    "a micro-batch of nothing": (
        {"execution": {"micro_batch": 0}}, "execution.micro_batch: 0 is less than the minimum of 1",
    ),
    "a micro-batch of words": (
        {"execution": {"micro_batch": "all"}},
        "execution.micro_batch: 'all' does not match '^auto$' (auto, or how many sequences",
    ),
    "GPUs for a stage that uses none": (
        {"resources": {"harden": {"gpu": 0}}}, "resources.harden: there is no setting 'gpu'",
    ),
    "GPUs of a model for a stage that uses none": (
        {"models": {"mini-llama-3.2-1b": {"resources": {"prepare": {"gpu": 1}}}}},
        "models.mini-llama-3.2-1b.resources.prepare: there is no setting 'gpu'",
    ),
    "missing mirror": ({"hub_mirror": "/no/such/folder"}, "hub_mirror: there is no folder"),
    "missing path": (
        {"models": {"m": {"source": {"path": "/no/such"}, "dtype": "float32", "bos": True}}},
        "models.m.source.path: /no/such holds no checkpoint",
    ),
    "missing key": (
        {"models": {"m": {"source": {"miniature": "mini-llama-3.2-1b"}, "dtype": "float32"}}},
        "models.m: bos must be set",
    ),
    "two sources": (
        {"models": {"m": {"source": {"path": "x", "miniature": "y"},
                          "dtype": "float32", "bos": True}}},
        "models.m.source",
    ),
    "branch instead of commit": (
        {"models": {"m": {"source": {"hub": {"id": "a/b", "revision": "main"}},
                          "dtype": "float32", "bos": True}}},
        "models.m.source.hub.revision",
    ),
    "branch of a text": (
        {"corpora": {"calibration": {"text": {"hub": "a/b", "name": "", "split": "train",
                                              "column": "text", "documents": 1,
                                              "revision": "main"}}}},
        "corpora.calibration.text.revision: 'main' does not match",
    ),
    "revision of the miniature world": (
        {"corpora": {"calibration": {"text": {"revision": "0" * 40}}}},
        "corpora.calibration.text: 'hub' is a dependency of 'revision'",
    ),
    "two revisions of one data set": (
        {"scale": "paper", "evaluation": {"tasks": {"arc_easy": {"revision": "0" * 40}}}},
        "evaluation.tasks.arc_challenge.revision: allenai/ai2_arc has another revision",
    ),
    "shell in a method's name": ({"methods": {"x$(touch y)": {"like": "wanda"}}}, "x$(touch y)"),
    "a way out of the mirror in a model": (
        {"models": {"m": {"source": {"hub": {"id": "a/..", "revision": "0" * 40}},
                          "dtype": "float32", "bos": True}}},
        "models.m.source.hub.id",
    ),
    "a way out of the mirror in a text": (
        {"corpora": {"calibration": {"text": {"hub": "../b", "name": "", "split": "train",
                                              "column": "text", "documents": 1}}}},
        "corpora.calibration.text.hub",
    ),
    "a way out of the mirror in a split": (
        {"corpora": {"calibration": {"text": {"hub": "a/b", "name": "", "split": "../../c",
                                              "column": "text", "documents": 1}}}},
        "corpora.calibration.text.split",
    ),
    "a way out of the mirror in a task": (
        {"evaluation": {"tasks": {"piqa": {"dataset": "../../etc"}}}},
        "evaluation.tasks.piqa.dataset",
    ),
    "shell in a name": (
        {"models": {"x; touch y": {"source": {"path": "."}, "dtype": "float32", "bos": True}}},
        "x; touch y",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_settings_are_named_with_the_fix(name):
    override, message = BAD[name]
    with pytest.raises(config.ConfigError) as error:
        config.load({**BASE, **override})
    assert message in str(error.value)


@pytest.mark.parametrize("sparsity", [0.0001, 0.000123, 0.5, 0.123456, 0.999999])
def test_a_sparsity_that_is_accepted_is_one_of_the_rules(sparsity):
    (cell,) = cells(config.load({**BASE, "grid": {**ONE, "sparsities": [sparsity]}}))[1:]
    (pattern,) = re.findall(r"^ +sparsity=r\"(.*)\",$", (ROOT / "Snakefile").read_text(), re.M)
    assert re.fullmatch(pattern, cell.sparsity) and cell.target == sparsity


def test_text_that_calibrates_has_to_be_there():
    settings = config.load({**BASE, "scale": "smoke"})
    settings["methods"]["admm"]["calibration"] = {"corpus": "training", "sequences": 9}
    place = {"admm": "methods.admm.calibration.sequences"}
    assert list(calibration.problems(settings, place)) == []
    whole = {**settings["corpora"]["training"], "packing": "joined", "sequences": 0}
    settings["corpora"]["training"] = whole  # all of a text, however long
    assert list(calibration.problems(settings, place)) == []
    del settings["corpora"]["training"]
    assert list(calibration.problems(settings, place)) == [
        "corpora.training: must be set, since admm is calibrated on it"
    ]


def test_a_key_that_is_set_twice_in_a_scale_is_refused(tmp_path, monkeypatch):
    (tmp_path / "twice.yaml").write_text("grid: {}\nmodels: {}\ngrid: {}\n")
    monkeypatch.setattr(config, "SCALES", tmp_path)
    with pytest.raises(config.ConfigError, match="grid is set twice"):
        config.load({**BASE, "scale": "twice"})


def test_a_scale_lies_over_the_one_that_it_extends(tmp_path, monkeypatch):
    (tmp_path / "larger.yaml").write_text("grid: {models: [a, b], seeds: [0]}\nabout: larger\n")
    (tmp_path / "small.yaml").write_text("extends: larger\ngrid: {models: [a]}\n")
    (tmp_path / "least.yaml").write_text("extends: small\nabout: least\n")
    monkeypatch.setattr(config, "SCALES", tmp_path)
    assert config.scale_settings("least") == {
        "grid": {"models": ["a"], "seeds": [0]}, "about": "least",
    }  # fmt: skip
    (tmp_path / "small.yaml").write_text("extends: lager\n")
    with pytest.raises(config.ConfigError, match=r"extends: there is no 'lager' \(did you mean"):
        config.scale_settings("least")


def test_every_schema_describes_every_field():
    def undescribed(schema: dict, place: str):
        for key, field in schema.get("properties", {}).items():
            if "description" not in field:
                yield f"{place}.{key}"
            yield from undescribed(field, f"{place}.{key}")
        for key, part in schema.get("$defs", {}).items():
            yield from undescribed(part, f"{place}#{key}")
        if "properties" in schema and schema.get("additionalProperties") is not False:
            yield f"{place} admits unknown keys"

    for file in [*SCHEMAS.rglob("*.yaml"), *map(schema_file, known_methods())]:
        assert list(undescribed(yaml.safe_load(file.read_text()), file.name)) == []


@pytest.mark.parametrize("name", [n for n in known_methods() if n not in rule_folders()])
def test_a_method_and_its_schema_have_the_same_settings(name):
    schema, optional = method_schema(name), set()
    if schema.get("trained") and schema["changes_weights"]:
        of_the_cell = {"sparsity", "seed"}
        known = {field.name for field in fields(elsa.Settings)} - of_the_cell
    elif schema.get("trained"):
        of_the_cell, of_the_suite = (
            {"sparsity", "seed"},
            {"warm_start", *OF_THE_PATTERN.get(name, [])},
        )
        optional = {"pattern_alpha"} if name == "patch" else set()
        of_all = {field.name for field in fields(leap.Settings)} - {"pattern_alpha"}
        known = of_all - of_the_cell | of_the_suite | optional
    else:
        of_the_cell = {"seed"} if schema.get("stochastic") else set()
        known = {field.name for field in fields(registry.load(name).Settings)} - of_the_cell
        driver = read_yaml(SCHEMAS / "layer_wise.schema.yaml")
        taken = set(read_yaml(schema_file(name)).get("takes_masks", {}))  # not the method's own
        optional = set(driver["properties"]) - (set(driver["takes_masks"]) if taken else set())
        known |= optional | taken
    assert set(schema["properties"]) == known
    assert set(schema["required"]) == known - of_the_cell - optional


def test_a_preset_gives_every_setting_and_what_is_written_beside_it_wins():
    overrides = {"methods": {"leap": {"preset": "paper", "steps": 7}}}
    leap_settings = config.load({**BASE, **overrides})["methods"]["leap"]
    assert leap_settings["noise"] == "gumbel"
    assert leap_settings["magnitude"] == "l1"
    assert leap_settings["steps"] == 7
    assert "preset" not in leap_settings


def test_a_variant_takes_the_settings_of_the_method_it_is_like():
    overrides = {"methods": {"wanda-layer": {"like": "wanda", "budget": "layer"}}}
    settings = config.load({**BASE, **overrides})
    assert settings["methods"]["wanda-layer"] == {"budget": "layer"}
    assert settings["implementations"]["wanda-layer"] == "wanda"
    assert settings["methods"]["wanda"] == {"budget": "row"}


def test_a_variant_of_a_variant_changes_what_that_one_has():
    chain = {"layer": {"like": "wanda", "budget": "layer"}, "row": {"like": "layer"}}
    chain["other"] = {"like": "row", "budget": "row"}
    settings = config.load({**BASE, "methods": chain})
    budgets = {name: settings["methods"][name]["budget"] for name in chain}
    assert budgets == {"layer": "layer", "row": "layer", "other": "row"}
    assert {settings["implementations"][name] for name in chain} == {"wanda"}


def test_every_variant_of_the_ablations_differs_from_its_base():
    settings = config.load(BASE)
    ablations = settings["studies"]["ablations"]["variants"]
    base = ablations["base"]
    for variant in ablations["variants"]:
        assert settings["methods"][f"{base}-{variant}"] != settings["methods"][base], variant
        assert settings["implementations"][f"{base}-{variant}"] == base


def test_the_paper_scale_has_the_papers_settings():
    settings = config.load({**BASE, "scale": "paper"})
    assert settings["grid"]["sparsities"] == [0.5, 0.6]
    assert {"wanda", "sparsegpt", "thanos", "admm", "leap"} <= set(settings["grid"]["methods"])
    corpora = settings["corpora"]
    sizes = {name: (corpus["sequences"], corpus["length"]) for name, corpus in corpora.items()}
    assert sizes == {
        "calibration": (128, 2048), "training": (2000 * 256, 4096), "perplexity": (0, 4096),
    }  # fmt: skip
    learning = settings["methods"]["leap"]
    published = {
        "steps": 2000, "batch": 256, "learning_rate": 1e-3, "warmup_steps": 5, "alpha": [25, 350],
        "tau": [4.0, 0.05], "density_strength": 7, "magnitude_strength": 10, "init_std": 0.014,
        "prior_strength": 3, "noise": "logistic", "magnitude": "norm_ratio", "warm_start": "wanda",
    }  # fmt: skip
    assert {key: learning[key] for key in published} == published
    assert (learning["max_grad_norm"], learning["selection"]) == (1.0, "exact")
    patch = settings["methods"]["patch"]
    assert (patch["tile"], patch["pattern"], patch["mode"]) == (128, "2:4", "joint")
    shared = {key: value for key, value in published.items() if key != "warm_start"}
    assert {key: patch[key] for key in shared} == shared
    maskllm = settings["methods"]["maskllm"]
    own = {"alpha": [100, 500], "weight_decay": 0.1, "density_strength": 0, "noise": "gumbel"}
    assert {key: maskllm[key] for key in shared} == {
        key: own.get(key, value) for key, value in shared.items()
    }
    assert maskllm["weight_decay"] == 0.1
    admm = {"budget": "layer", "iterations": 20, "mask_iterations": 15, "rho": 1.0, "damping": 0.1}
    assert settings["methods"]["admm"] == {**admm, "schedule": "constant"}
    assert settings["methods"]["admm-cubic"] == {**admm, "schedule": "cubic"}
    assert {"admm", "admm-cubic"} <= set(settings["grid"]["methods"])
    assert {task["limit"] for task in settings["evaluation"]["tasks"].values()} == {0}
    assert {model["dtype"] for model in settings["models"].values()} == {"bfloat16"}
    assert settings["models"]["gemma-3-1b"]["bos"] is True


def test_the_workstation_scale_is_the_papers_but_for_models_gpus_and_leaps_text():
    paper, settings = (config.load({**BASE, "scale": s}) for s in ("paper", "workstation"))
    small = settings["grid"].pop("models")
    assert small == paper["grid"].pop("models")[:3]
    for model in small:
        assert settings["models"][model].pop("resources")["train"]["gpu"] == 1
        assert paper["models"][model].pop("resources")["train"]["gpu"] > 1
    for learned in ("leap", "maskllm", "patch", "elsa"):
        assert settings["methods"][learned].pop("batch") == 8
        assert paper["methods"][learned].pop("batch") == 256
    # a thirtieth of the paper's two billion tokens, each of them read once
    training = settings["corpora"].pop("training")
    assert training["sequences"] == settings["methods"]["leap"]["steps"] * 8
    assert training["sequences"] * training["length"] == pytest.approx(65e6, rel=0.01)
    of_the_paper = paper["corpora"].pop("training")
    assert training["text"] == {**of_the_paper["text"], "documents": training["text"]["documents"]}
    for same in ("grid", "models", "methods", "implementations", "corpora", "evaluation", "keep"):
        assert settings[same] == paper[same], same
    assert {asked.get("gpu", 1) for asked in settings["resources"].values()} == {1}

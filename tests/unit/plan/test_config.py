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


def test_overrides_are_merged_by_key_and_text_of_the_command_line_is_typed():
    changes = {
        "grid": {"sparsities": ["0.7"], "seeds": ["1"]}, "tracking": {"live": "true"},
        "evaluation": {"tasks": {"piqa": {"limit": "7"}}},
        "execution": {"micro_batch": "4", "recompute": "auto", "sharding": "true"},
        "methods": {"wanda": {"budget": "layer"}, "leap": {"steps": "3"}},
        "studies": {
            "sweep": {"grid": {"sparsities": ["0.55"]}},
            "patterns": {"grid": {"methods": {"patch": ["0.3"]}}},
            "tokens": {"amounts": {"trained": {"steps": ["30"]}}},
        },
    }  # fmt: skip
    scale, settings = config.load(BASE), config.load({**BASE, **changes})
    assert settings["grid"] == {**scale["grid"], "sparsities": [0.7], "seeds": [1]}
    assert settings["execution"] == {"micro_batch": 4, "recompute": "auto", "sharding": True}
    assert settings["tracking"]["live"] is True
    assert settings["evaluation"]["tasks"]["piqa"]["limit"] == 7
    assert settings["methods"]["wanda"] == {"budget": "layer"}
    assert settings["methods"]["leap"]["steps"] == 3
    found, studies = settings["studies"], scale["studies"]
    assert found["sweep"]["grid"] == {**studies["sweep"]["grid"], "sparsities": [0.55]}
    methods = {**studies["patterns"]["grid"]["methods"], "patch": [0.3]}
    assert found["patterns"]["grid"]["methods"] == methods
    assert found["tokens"]["amounts"]["trained"]["steps"] == [30]
    assert found["ablations"] == studies["ablations"]


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


def test_a_source_or_text_of_another_kind_replaces_the_one_below_and_a_revision_goes(tmp_path):
    def text(scale: str, **changes) -> dict:
        overrides = {"scale": scale, "corpora": {"validation": {"text": changes}}}
        return config.load({**BASE, **overrides})["corpora"]["validation"]["text"]

    own = text("laptop")
    assert "skip" not in own
    assert text("laptop", skip=7) == {**own, "skip": 7}
    assert text("mini", **own) == own
    assert text("mini", miniature="train") == {"miniature": "train"}
    other = {**own, "hub": "my/text"}
    del other["revision"]
    assert text("laptop", hub="my/text") == other
    (tmp_path / "config.json").write_text("{}")
    source = {"path": str(tmp_path)}
    tasks = {"piqa": {"dataset": "my/piqa"}, "mmlu": {"limit": 5}}
    changes = {"models": {"smollm2-135m": {"source": source}}, "evaluation": {"tasks": tasks}}
    settings = config.load({**BASE, "scale": "laptop", **changes})
    assert settings["models"]["smollm2-135m"]["source"] == source
    tasks = settings["evaluation"]["tasks"]
    assert "revision" not in tasks["piqa"] and "revision" in tasks["mmlu"]


# settings that a parameterisation has beside the trainer's
OF_THE_PATTERN = {
    "maskllm": ["pattern"],
    "patch": ["pattern", "mode", "tile", "sparse_masks"],
}


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


def test_presets_and_variants_are_resolved_and_what_is_written_beside_them_wins():
    methods = {
        "leap": {"preset": "paper", "steps": 7},
        "layer": {"like": "wanda", "budget": "layer"},
        "row": {"like": "layer"},
        "other": {"like": "row", "budget": "row"},
    }
    settings = config.load({**BASE, "methods": methods})
    found, behind = settings["methods"], settings["implementations"]
    learned = found["leap"]
    assert (learned["noise"], learned["magnitude"], learned["steps"]) == ("gumbel", "l1", 7)
    assert "preset" not in learned
    budgets = {name: found[name] for name in ("wanda", "layer", "row", "other")}
    assert budgets == {
        "wanda": {"budget": "row"}, "layer": {"budget": "layer"},
        "row": {"budget": "layer"}, "other": {"budget": "row"},
    }  # fmt: skip
    assert {behind[name] for name in budgets} == {"wanda"}


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

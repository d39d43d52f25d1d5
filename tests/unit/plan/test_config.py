"""Settings: scales, merging, types, presets and variants."""

import re
from dataclasses import asdict, fields, replace
from importlib import import_module

import pytest
import yaml

import leap
from baselines import registry
from leap.methods import elsa
from leap.settings import ELSA_PRESETS, make_settings
from leap_suite.places import SCHEMAS
from leap_suite.plan import calibration, config
from leap_suite.plan.grid import cells
from leap_suite.plan.methods import known_methods, method_schema, rule_folders, schema_file
from leap_suite.plan.validation import read_yaml
from tests.conftest import ROOT
from tests.unit.recipes import loaded

ONE = {"models": ["mini-llama-3.2-1b"], "methods": ["wanda"]}
TASKS = ["piqa", "arc_easy", "arc_challenge", "winogrande", "openbookqa", "mmlu"]
REAL_SCALES = ("own", "laptop", "claim", "workstation", "paper")
OWN = {
    "models": {
        "mine": {
            "source": {"hub": {"id": "owner/name", "revision": "0" * 40}},
            "dtype": "bfloat16", "bos": True,
        },
    },
    "grid": {"models": ["mine"]},
}  # fmt: skip


@pytest.mark.parametrize("scale", ["smoke", "mini", *REAL_SCALES])
def test_every_scale_is_valid_and_has_the_six_tasks(scale):
    assert list(loaded(scale=scale)["evaluation"]["tasks"]) == TASKS


@pytest.mark.parametrize("scale", REAL_SCALES)
def test_a_scale_of_real_data_takes_an_own_model_and_pins_every_data_set(scale):
    settings = loaded(scale=scale, **OWN)
    assert {cell.model for cell in cells(settings)} == {"mine"}
    commits: dict[str, set[str]] = {}
    for corpus in settings["corpora"].values():
        commits.setdefault(corpus["text"]["hub"], set()).add(corpus["text"]["revision"])
    for task in settings["evaluation"]["tasks"].values():
        commits.setdefault(task["dataset"], set()).add(task["revision"])
    assert all(len(found) == 1 for found in commits.values())


def test_overrides_are_merged_by_key_and_text_of_the_command_line_is_typed():
    changes = {
        "grid": {"sparsities": ["0.7"], "seeds": ["1"]}, "tracking": {"live": "true"},
        "evaluation": {"tasks": {"piqa": {"limit": "7"}}},
        "execution": {"micro_batch": "4", "recompute": "auto", "sharding": "true"},
        "methods": {"wanda": {"budget": "layer"}, "leap": {"steps": "3"}},
        "studies": {
            "sweep": {"grid": {"sparsities": ["0.55"]}},
            "tokens": {"amounts": {"trained": {"steps": ["30"]}}},
        },
    }  # fmt: skip
    scale, settings = loaded(), loaded(**changes)
    assert settings["grid"] == {**scale["grid"], "sparsities": [0.7], "seeds": [1]}
    assert settings["execution"] == {"micro_batch": 4, "recompute": "auto", "sharding": True}
    assert settings["tracking"]["live"] is True
    assert settings["evaluation"]["tasks"]["piqa"]["limit"] == 7
    assert settings["methods"]["wanda"] == {"budget": "layer"}
    assert settings["methods"]["leap"]["steps"] == 3
    found, studies = settings["studies"], scale["studies"]
    assert found["sweep"]["grid"] == {**studies["sweep"]["grid"], "sparsities": [0.55]}
    assert found["tokens"]["amounts"]["trained"]["steps"] == [30]
    assert found["ablations"] == studies["ablations"]


def test_tasks_are_added_changed_and_left_out():
    hellaswag = {"task": "hellaswag", "dataset": "Rowan/hellaswag", "limit": 5}
    arc = {"task": "arc_challenge", "dataset": "allenai/ai2_arc"}
    # as text where it stands in --config
    tasks = {"hellaswag": hellaswag, "piqa": None, "mmlu": "null", "arc_easy": arc}
    scale = loaded(scale="laptop")["evaluation"]["tasks"]
    arc["revision"] = scale["arc_challenge"]["revision"]
    found = loaded(scale="laptop", evaluation={"tasks": tasks})
    assert found["evaluation"]["tasks"] == {
        "arc_easy": {**arc, "limit": 1000},  # without the title of the other
        **{name: scale[name] for name in ("arc_challenge", "winogrande", "openbookqa")},
        "hellaswag": hellaswag,
    }


def test_a_source_or_text_of_another_kind_replaces_the_one_below_and_a_revision_goes(tmp_path):
    def text(scale: str, **changes) -> dict:
        overrides = {"scale": scale, "corpora": {"validation": {"text": changes}}}
        return loaded(**overrides)["corpora"]["validation"]["text"]

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
    settings = loaded(scale="laptop", **changes)
    assert settings["models"]["smollm2-135m"]["source"] == source
    tasks = settings["evaluation"]["tasks"]
    assert "revision" not in tasks["piqa"] and "revision" in tasks["mmlu"]


@pytest.mark.parametrize("sparsity", [0.0001, 0.000123, 0.5, 0.123456, 0.999999])
def test_a_sparsity_that_is_accepted_is_one_of_the_rules(sparsity):
    (cell,) = cells(loaded(grid={**ONE, "sparsities": [sparsity]}))[1:]
    (pattern,) = re.findall(r"^ +sparsity=r\"(.*)\",$", (ROOT / "Snakefile").read_text(), re.M)
    assert re.fullmatch(pattern, cell.sparsity) and cell.target == sparsity


def test_calibration_on_all_of_a_text_has_no_limit_before_the_job():
    settings, place = loaded(), {"admm": "methods.admm.calibration.sequences"}
    settings["methods"]["admm"]["calibration"] = {"corpus": "training", "sequences": 10**6}
    assert len([*calibration.problems(settings, place)]) == 1
    settings["corpora"]["training"] |= {"packing": "joined", "sequences": 0}
    assert [*calibration.problems(settings, place)] == []


def test_a_scale_extends_another_and_sets_no_key_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "SCALES", tmp_path)
    (tmp_path / "larger.yaml").write_text("grid: {models: [a, b], seeds: [0]}\nabout: larger\n")
    (tmp_path / "small.yaml").write_text("extends: larger\ngrid: {models: [a]}\n")
    (tmp_path / "least.yaml").write_text("extends: small\nabout: least\n")
    grid = {"models": ["a"], "seeds": [0]}
    assert config.scale_settings("least") == {"grid": grid, "about": "least"}
    (tmp_path / "small.yaml").write_text("extends: lager\n")
    with pytest.raises(config.ConfigError, match=r"extends: there is no 'lager' \(did you mean"):
        config.scale_settings("least")
    (tmp_path / "least.yaml").write_text("grid: {}\nmodels: {}\ngrid: {}\n")
    with pytest.raises(config.ConfigError, match="grid is set twice"):
        loaded(scale="least")


@pytest.mark.parametrize("scale", ["smoke", "mini", "laptop", "claim", "workstation", "paper"])
def test_all_learned_methods_of_a_scale_train_equally_long(scale):
    methods = loaded(scale=scale)["methods"]
    learned = [methods[n] for n in ("leap", "maskllm", "patch", "elsa") if n in methods]
    assert len({(own["steps"], own["batch"]) for own in learned}) == 1
    assert len({own["sequences_per_draw"] for own in learned[:-1]}) == 1


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
    schema, of_the_cell, optional = method_schema(name), {"sparsity", "seed"}, set()
    if schema.get("trained") and schema["changes_weights"]:
        module = import_module(f"leap.methods.{name}")
        known = {field.name for field in fields(module.Settings)} | {*schema.get("takes_masks", {})}
        optional = {"clipping", "decay", "update_at", "trained"} if name == "elsa" else set()
        optional |= {"distil", "mask_share"} & known
    elif schema.get("trained"):
        own = {"maskllm": {"pattern"}, "patch": {"pattern", "mode", "tile", "sparse_masks"}}
        optional = {"pattern_alpha"}
        known = {field.name for field in fields(leap.Settings)} - optional
        known |= {"warm_start"} | own.get(name, set()) | (optional if name == "patch" else set())
    else:
        of_the_cell = {"seed"} if schema.get("stochastic") else set()
        known = {field.name for field in fields(registry.load(name).Settings)}
        driver = read_yaml(SCHEMAS / "layer_wise.schema.yaml")
        taken = {*read_yaml(schema_file(name)).get("takes_masks", {})}  # not the method's own
        optional = {*driver["properties"]} - ({*driver["takes_masks"]} if taken else set())
        optional |= {"trained_on", "norms", "warmup"} if name == "reconstruct" else set()
        known |= optional | taken
    assert {*schema["properties"]} == known - of_the_cell
    assert {*schema["required"]} == known - of_the_cell - optional


def test_elsas_preset_is_whole():
    found = loaded(methods={"mine": {"preset": "public-code", "like": "elsa"}})
    assert {**ELSA_PRESETS["public-code"], **loaded()["methods"]["elsa"]} == found["methods"][
        "mine"
    ]
    settings = make_settings(elsa.Settings, ELSA_PRESETS["public-code"], 0.6, 0)
    assert asdict(settings) == {**ELSA_PRESETS["public-code"], "sparsity": 0.6, "seed": 0}


def test_presets_and_variants_are_resolved_and_what_is_written_beside_them_wins():
    methods = {
        "leap": {"preset": "paper", "steps": 7},
        "layer": {"like": "wanda", "budget": "layer"},
        "other": {"like": "layer", "budget": "row"},
    }
    settings = loaded(methods=methods)
    found, behind = settings["methods"], settings["implementations"]
    paper = {"noise": "gumbel", "magnitude": "l1", "steps": 7}
    assert found["leap"].items() >= paper.items() and "preset" not in found["leap"]
    assert found["wanda"] == found["other"] == {"budget": "row"}
    assert found["layer"] == {"budget": "layer"}
    assert behind["layer"] == behind["other"] == "wanda"


def test_the_paper_scale_has_the_papers_settings():
    """Those of LEAP are the defaults, whose values `tests/unit/leap/test_settings.py` has."""
    settings = loaded(scale="paper")
    methods, corpora = settings["methods"], settings["corpora"]
    assert settings["grid"]["sparsities"] == [0.5, 0.6]
    assert {name: (corpus["sequences"], corpus["length"]) for name, corpus in corpora.items()} == {
        "calibration": (128, 2048), "training": (2000 * 256, 4096), "perplexity": (0, 4096),
    }  # fmt: skip
    published = {
        "leap": {"max_grad_norm": 1.0, "logits_dtype": "model"},
        "patch": {},
        "maskllm": {
            "alpha": (100, 500), "weight_decay": 0.1, "density_strength": 0, "noise": "gumbel",
        },
    }  # fmt: skip
    for name, own in published.items():
        found = make_settings(leap.Settings, methods[name], 0.5, 0)
        assert found == replace(leap.Settings(0.5, sequences_per_draw=8), **own), name
    found = make_settings(elsa.Settings, methods["elsa"], 0.6, 3)
    assert (found.learning_rate, found.penalty, found.interval) == (2e-4, 0.01, 32)
    admm = {"budget": "layer", "iterations": 20, "mask_iterations": 15, "rho": 1.0, "damping": 0.1}
    assert methods["admm"] == {**admm, "schedule": "constant"}
    assert {task["limit"] for task in settings["evaluation"]["tasks"].values()} == {0}


def test_the_workstation_scale_is_the_papers_but_for_models_gpus_and_leaps_text():
    paper, settings = (loaded(scale=s) for s in ("paper", "workstation"))
    small = settings["grid"].pop("models")
    assert small == paper["grid"].pop("models")[:3]
    for model in small:
        assert settings["models"][model].pop("resources")["train"]["gpu"] == 1
        assert paper["models"][model].pop("resources")["train"]["gpu"] > 1
    tuned = ("finetune", "finetune-distil", "leap-finetune", "leap-500-steps")
    for learned in ("leap", "maskllm", "patch", "elsa", *tuned):
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

"""Schemas of methods, and what planning, tables and figures read from them."""

import pytest
import yaml
from jsonschema import Draft202012Validator

from leap_suite.places import SCHEMAS
from leap_suite.plan import methods
from leap_suite.plan.methods import (
    can_have,
    known_methods,
    look_of,
    method_label,
    method_schema,
    only_sparsity,
    pattern_of,
    used_methods,
    written_pattern,
)
from leap_suite.plan.validation import ConfigError
from leap_suite.report import documentation
from tests.unit.recipes import forget_schemas, loaded

RIA = """
$schema: https://json-schema.org/draft/2020-12/schema
title: RIA
description: Removes the weights of smallest relative importance.
competes_in: row; 2:4
changes_weights: false
paper:
  title: A paper
  url: https://example.org/ria
  bibtex: |
    @misc{ria, author = {A}, title = {T}, year = {2024}}
licence: unknown
look: {colour: "#123456", marker: d, dashes: long}
sparsity_pattern: {setting: budget, scope: all}
type: object
additionalProperties: false
required: [budget]
properties:
  budget: {description: Where weights compete., enum: [row, "2:4"]}
"""


@pytest.fixture
def describe(tmp_path, monkeypatch):
    """Make ria known by this text, as a folder in baselines or a file among the schemas."""

    def write(text: str, folder: bool = True) -> None:
        place = tmp_path / ("baselines/ria/schema.yaml" if folder else "methods/ria.schema.yaml")
        place.parent.mkdir(parents=True)
        place.write_text(text)
        if folder:
            monkeypatch.setattr(methods, "FOLDERS", tmp_path / "baselines")
        else:
            monkeypatch.setattr(methods, "METHOD_SCHEMAS", tmp_path / "methods")
        forget_schemas()

    yield write
    monkeypatch.undo()
    forget_schemas()


def test_a_layer_wise_method_without_its_module_is_refused(describe):
    describe(RIA)
    with pytest.raises(ConfigError, match=r"methods\.mine: there is no module baselines/ria\.py"):
        loaded(methods={"ria": {"budget": "row"}, "mine": {"like": "ria"}})


def test_the_schema_of_schemas_and_every_schema_are_json_schemas():
    Draft202012Validator.check_schema(yaml.safe_load((SCHEMAS / "method.schema.yaml").read_text()))
    for name in known_methods():
        schema = method_schema(name)
        Draft202012Validator.check_schema(schema)
        named = {schema["sparsity_pattern"]["setting"]} if "sparsity_pattern" in schema else set()
        taken = {key for key, kind in schema.get("takes_masks", {}).items() if kind != "densities"}
        assert {*named, *taken} <= set(schema["required"])


def test_no_two_methods_share_a_label_or_a_look():
    labels = [method_label(name) for name in known_methods()]
    looks = [look_of(name) for name in known_methods()]
    assert len(set(labels)) == len(labels)
    assert len({(look["marker"], look["dashes"]) for look in looks}) == len(looks)


def test_a_label_is_the_title_and_the_rest_of_the_name():
    labels = {
        "dense": "Dense",
        "wanda-2-4": "Wanda 2:4",
        "admm-cubic": "ADMM cubic",
        "random-mask-row": "Random mask row",
    }
    labels |= {name: name for name in ("leapfrog", "mine", "mine-2-4", "../wanda")}
    assert {name: method_label(name) for name in labels} == labels
    assert look_of("wanda-2-4") == look_of("wanda")
    assert [look_of(name) for name in ("admm-cubic", "mine", "../wanda")] == [None] * 3


def test_a_method_that_takes_its_masks_is_calibrated_but_spreads_nothing(describe):
    describe(RIA.replace("type: object", "takes_masks: {mask_from: any pattern}\ntype: object"))
    schema = method_schema("ria")
    assert set(schema["properties"]) == {"budget", "calibration"}
    assert schema["takes_masks"] == {"mask_from": "any pattern"}


@pytest.mark.parametrize("folder", [True, False])
def test_a_new_method_needs_its_schema_only(describe, folder):
    describe(RIA, folder)
    assert "ria" in known_methods()
    assert (method_label("ria"), method_label("ria-2-4")) == ("RIA", "RIA 2:4")
    assert look_of("ria")["marker"] == "d"
    assert written_pattern("ria", {"budget": "2:4"}) == "2:4"
    assert not can_have("ria", {"budget": "2:4"}, 0.6)
    assert "[A paper](https://example.org/ria)" in "".join(documentation.methods())


@pytest.mark.parametrize(
    ("written", "instead", "complaint"),
    [
        ("title: RIA\n", "", "title must be set"),
        ("changes_weights", "change_weights", "(did you mean 'changes_weights'?)"),
        ("  url: https://example.org/ria\n", "", "(Whom to cite - title, arxiv"),
        ("sparsity_pattern: {setting: budget, scope: all}\n", "", "sparsity_pattern must be set"),
        ("description: Where weights compete., ", "", "properties.budget: description must be set"),
    ],
)  # fmt: skip
def test_what_a_new_schema_lacks_is_named(describe, written, instead, complaint):
    assert written in RIA
    describe(RIA.replace(written, instead))
    with pytest.raises(ConfigError) as error:
        loaded(methods={"ria": {"budget": "row"}})
    assert "baselines/ria/schema.yaml" in str(error.value)
    assert complaint in str(error.value)


def test_an_unknown_method_has_no_schema():
    with pytest.raises(ConfigError, match=r"there is no method 'wnda' \(known: admm, "):
        method_schema("wnda")


@pytest.mark.parametrize(
    ("method", "values", "pattern", "written", "only", "possible"),
    [
        ("wanda", {"budget": "row"}, "", "free", None, [0.3, 0.5, 0.6]),
        ("wanda", {"budget": "2:4"}, "2:4", "2:4", 0.5, [0.5]),
        ("maskllm", {"pattern": "1:4"}, "1:4", "1:4", 0.75, []),
        ("patch", {"pattern": "2:4"}, "2:4", "dense or 2:4", None, [0.3, 0.5]),
    ],
)
def test_patterns_and_the_sparsities_that_they_allow(
    method, values, pattern, written, only, possible
):
    assert pattern_of(method, values) == pattern
    assert written_pattern(method, values) == written
    assert only_sparsity(method, values) == only
    assert [s for s in (0.3, 0.5, 0.6) if can_have(method, values, s)] == possible


def test_a_run_uses_the_methods_whose_masks_it_takes_too():
    changes = {"patch": {"sparse_masks": "sparsegpt-2-4", "warm_start": "admm"}}
    settings = loaded(methods=changes)
    assert used_methods(["patch"], settings) == ["admm", "patch", "sparsegpt"]
    assert used_methods(["leap", "leap-random-start"], settings) == ["leap", "wanda"]
    assert used_methods([], settings) == []

"""Captions of the page and of Snakemake's report: of every table and figure, at every scale."""

from dataclasses import fields
from types import SimpleNamespace

import pytest
from jinja2 import Environment, StrictUndefined, Template

from leap_suite.plan import studies
from leap_suite.plan.config import load
from leap_suite.plan.recipe import synthetic_note
from leap_suite.plan.subject import judged
from leap_suite.tables.context import Context
from leap_suite.tables.registry import STUDY_FIGURES, TABLES
from tests.conftest import ROOT
from tests.unit.figures.conftest import FIGURES

CAPTIONS = {file.stem: file for file in (ROOT / "workflow/report").glob("*.rst")}
SCALES = sorted(file.stem for file in (ROOT / "workflow/scales").glob("*.yaml"))
OF_GRID = [
    *(name for name, table in TABLES.items() if table.of_grid),
    *("quality", "gain", "density", "training", "agreement", "cost"),
]
OF_SUBJECT = {"gain", "density", "training", "verdict", "headline", "comparison"}


def settings_of(scale, **overrides):
    return load({"scale": scale, "hub_mirror": "", **overrides})


def job(settings, study="", name=""):
    """What a caption sees of the job that made its file, as the rules of tables and figures do."""
    told = {
        **judged(settings),
        "scale": settings["scale"],
        "about": settings["about"],
        "note": synthetic_note(settings),
        "published": False,
        "name": study or name,
        "study": studies.section(study, settings) if study else {},
        "methods": studies.methods_of(study, settings) if study else {},
        "points": {},
        "trials": {},
    }
    assert told.keys() == {field.name for field in fields(Context)}
    return SimpleNamespace(config=settings, params=SimpleNamespace(told=told))


def rendered(name, snakemake):
    """As the page has it, and as Snakemake's report does, which drops the line ends of blocks."""
    text = CAPTIONS[name].read_text()
    here = Template(text, undefined=StrictUndefined).render(snakemake=snakemake)
    there = Environment(trim_blocks=True, lstrip_blocks=True).from_string(text)
    assert there.render(snakemake=snakemake) == here
    return here


def captions(settings):
    """Every caption of the grid and of its studies, by its name and study."""
    found = {(name, ""): rendered(name, job(settings, name=name)) for name in OF_GRID}
    for study in studies.names(settings):
        section = studies.section(study, settings)
        for name in (section["table"], *studies.figures_of(study, settings).values()):
            found[name, study] = rendered(name, job(settings, study))
    return found


def test_every_table_and_figure_has_its_caption():
    # and the text at the top of Snakemake's own report
    assert CAPTIONS.keys() == {*TABLES, *FIGURES, "workflow"}


@pytest.mark.parametrize("scale", SCALES)
def test_captions_begin_with_what_their_numbers_are_of(scale):
    settings = settings_of(scale)
    note = synthetic_note(settings)
    for (name, study), caption in captions(settings).items():
        assert caption.startswith(f"{note}. " if note else ""), name
        rest = caption.removeprefix(f"{note}. ") if note else caption
        assert rest[0].isupper() and "miniature" not in rest.lower(), (name, study)
        assert caption == " ".join(caption.split()), (name, study)
        if study:
            assert f"Study {study} of scale {scale}" in caption, name


@pytest.mark.parametrize("subject", ["wanda", "reconstruct"])
def test_no_other_subject_is_named(subject):
    settings = settings_of("mini", subject=subject, grid={"methods": ["wanda", "reconstruct"]})
    for (name, study), caption in captions(settings).items():
        assert name not in OF_SUBJECT or subject in caption, name
        assert study or name == "against_published" or "leap" not in caption.lower(), name


CELLS = {"models": ["mini-llama-3.2-1b"], "seeds": [0]}
STUDIED = {  # cells of a study in every form, by the key of the form
    "grid": {**CELLS, "methods": {"wanda-2-4": [0.5], "patch": [0.35]}},
    "variants": {**CELLS, "sparsity": 0.6, "base": "wanda", "variants": {"x": {}}},
    "amounts": {
        **CELLS, "sparsities": [0.6], "calibrated": {"methods": ["admm"], "sequences": [128]},
        "trained": {"methods": ["leap"], "steps": [25]},
    },
}  # fmt: skip


@pytest.mark.parametrize("key", STUDIED)
def test_a_study_of_any_name_can_have_any_table_and_figure_of_its_form(key):
    settings = settings_of("mini", studies={"by_myself": {"table": "main", key: STUDIED[key]}})
    tables = {name: table for name, table in TABLES.items() if not table.measured}
    shown = [name for name, table in tables.items() if table.study in ("", "validation", key)]
    shown += [name for name, of in STUDY_FIGURES.items() if of in ("", key)]
    for name in shown:
        caption = rendered(name, job(settings, "by_myself"))
        assert "Study by_myself of scale mini" in caption or name == "against_published", name
        assert "Undefined" not in caption and "  " not in caption, name

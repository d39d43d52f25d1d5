"""Captions of the page and of Snakemake's report, with the real settings of scales."""

from types import SimpleNamespace

import pytest
from jinja2 import Environment, StrictUndefined, Template

from suite.plan.config import load
from suite.plan.recipe import synthetic_note
from tests.conftest import ROOT

CAPTIONS = sorted((ROOT / "workflow/report").glob("*.rst"))
OF_PUBLISHED = "against_published"  # of real models only


def job(settings, note):
    """What a caption sees of the job that made its file."""
    wildcards = SimpleNamespace(study="allocation")
    return SimpleNamespace(config=settings, params=SimpleNamespace(note=note), wildcards=wildcards)


def rendered(settings):
    """Every caption by its name, as the page renders it; both have `config` and `params.note`."""
    snakemake = job(settings, synthetic_note(settings))
    return {
        file.stem: Template(file.read_text(), undefined=StrictUndefined).render(snakemake=snakemake)
        for file in CAPTIONS
    }


def test_captions_of_miniatures_begin_with_what_they_are_of():
    captions = rendered(load({"scale": "mini", "hub_mirror": ""}))
    assert captions.keys() >= {"main_table", "verdict", "quality", "patterns", OF_PUBLISHED}
    del captions[OF_PUBLISHED]
    for name, caption in captions.items():
        assert caption.startswith("Miniature models, generated tasks. "), name


def test_captions_of_real_models_say_nothing_of_miniatures():
    # with the studies of mini, which this scale lacks
    studies = load({"scale": "mini", "hub_mirror": ""})["studies"]
    captions = rendered({**load({"scale": "laptop", "hub_mirror": ""}), "studies": studies})
    for name, caption in captions.items():
        assert caption[0].isupper() and "miniature" not in caption.lower(), name


@pytest.mark.parametrize("file", CAPTIONS, ids=lambda file: file.stem)
def test_snakemakes_report_renders_the_same(file):
    """Its environment drops the line ends of blocks."""
    settings = load({"scale": "mini", "hub_mirror": ""})
    snakemake = job(settings, "Miniature models")
    there = Environment(trim_blocks=True, lstrip_blocks=True).from_string(file.read_text())
    here = Template(file.read_text())
    assert there.render(snakemake=snakemake) == here.render(snakemake=snakemake)

"""The benchmark's DAG: models and corpora -> pruned -> hardened -> evaluated -> tables, figures."""

import os
import re
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.0")

# Jobs import the code of this checkout, whatever else is installed.
CODE = [workflow.basedir, os.path.join(workflow.basedir, "workflow")]
sys.path[:0] = CODE

from baselines.pattern import sparsity_of
from baselines.registry import driver
from suite.plan.config import MINIATURES as MINIATURE_CHECKPOINTS
from suite.plan.config import ConfigError, load, methods_that_are
from suite.plan.grid import DENSE, LEAP, cells, pattern_cells, pattern_of
from suite.sources.mirror.check import missing
from suite.plan.needs import of_hub
from suite.tables.published import published_models
from suite.plan.variants import STUDIES, study_cells, study_methods


configfile: "config.yaml"


config["hub_mirror"] = config.get("hub_mirror") or os.environ.get("HUB_MIRROR", "")
try:
    config.update(load(config))
except ConfigError as error:
    raise WorkflowError(str(error)) from None

# Where code and data come from, whether a run is watched live and how GPUs are shared are no settings
# of a result: they reach jobs by the environment, so that changing them re-runs nothing.
os.environ.update(
    PYTHONPATH=os.pathsep.join(filter(None, [*CODE, os.environ.get("PYTHONPATH")])),
    HUB_MIRROR=config["hub_mirror"] and os.path.abspath(config["hub_mirror"]),
    LEAP_SUITE_LIVE_TRACKING=str(int(config["tracking"]["live"])),
    LEAP_SUITE_JOBS_PER_GPU=str(config.get("jobs_per_gpu", 1)),
)

SCALE = config["scale"]
RESULTS = f"results/{SCALE}"
CELLS = cells(config, methods_that_are("stochastic", config))
PATTERN_CELLS = pattern_cells(config)


wildcard_constraints:
    model="|".join(map(re.escape, config["models"])),
    method="|".join(map(re.escape, [DENSE, *config["methods"]])),
    sparsity=r"\d\.\d+",
    seed=r"(/seed-\d+)?",
    corpus="calibration|training|validation|perplexity",


include: "workflow/rules/common.smk"
include: "workflow/rules/miniatures.smk"
include: "workflow/rules/models.smk"
include: "workflow/rules/corpora.smk"
include: "workflow/rules/baselines.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/harden.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/patterns.smk"
include: "workflow/rules/ablations.smk"
include: "workflow/rules/search.smk"
include: "workflow/rules/sweep.smk"
include: "workflow/rules/page.smk"
include: "workflow/rules/tracking.smk"
include: "workflow/rules/release.smk"
include: "workflow/rules/prefetch.smk"
include: "workflow/rules/examples.smk"


onstart:
    lacking = missing(config, Path(config["hub_mirror"])) if config["hub_mirror"] else []
    if lacking:
        first = f"hub_mirror: {config['hub_mirror']} lacks what scale {SCALE} needs:"
        last = "Add it there: `snakemake prefetch`, with prefetch_to and without hub_mirror"
        raise WorkflowError("\n".join([first, *lacking, last]))
    # before any job writes to it: two processes that make the schema at once break each other
    if config["tracking"]["live"]:
        from suite.tracking.run import RESULTS as STORE_FOLDER
        from suite.tracking.store import default_uri, initialise_store

        initialise_store(default_uri(STORE_FOLDER))


localrules:
    all,
    miniatures,
    tables,
    against_published,
    figure_quality,
    figure_gain,
    figure_cost,
    figure_agreement,
    figure_density,
    figure_training,
    pattern_table,
    figure_patterns,
    ablations,
    search,
    sweep_table,
    sweep,
    release,
    prefetch,
    examples,
    pattern_examples,
    page,
    tracking,


rule all:
    default_target: True
    input:
        rules.tables.output,
        rules.pattern_table.output if PATTERN_CELLS else [],
        rules.against_published.output if PUBLISHED_MODELS else [],
        figures(),
        rules.page.output,
        rules.tracking.output,

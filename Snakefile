"""The benchmark's DAG: models and corpora -> pruned -> hardened -> evaluated -> tables, figures."""

import atexit
import os
import re
import sys
import time
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import DefaultFormatter, logger
from snakemake.settings.enums import Quietness
from snakemake.utils import min_version

min_version("9.0")

STARTED = time.monotonic()  # seconds

# Jobs import the code of this checkout, whatever else is installed. Not `workflow.basedir`, which
# is another place where this file serves as a module of another workflow.
HERE = str(workflow.current_basedir)
CODE = [HERE, os.path.join(HERE, "workflow")]
sys.path[:0] = CODE

from suite.jobs import precision, worker
from suite.jobs.gpus import visible_gpus
from suite.plan import standing, studies, tasks, tokens
from suite.plan.calibration import corpus_of
from suite.plan.code import fingerprint
from suite.plan.config import MINIATURES, load, shown_settings
from suite.plan.cell import DENSE, Cell
from suite.plan.grid import cells, first_seeds, taken_masks
from suite.plan.methods import (
    FOLDERS,
    METHOD_SCHEMAS,
    mask_learners,
    methods_that_are,
    rule_folders,
    used_methods,
    weight_learners,
    written_pattern,
)
from suite.plan.downloads import of_hub
from suite.plan.recipe import Recipes, fingerprint_of, synthetic_note
from suite.plan.subject import judged
from suite.plan.validation import ConfigError
from suite.plan.world import has_generated_tasks
from suite.report.overview import Overview
from suite.sources import lm_eval_tasks
from suite.sources.missing import missing
from suite.sources.own import completed
from suite.tables.registry import STUDY_FIGURES, TABLES
from suite.tables.published import FILES as NUMBERS
from suite.tables.published import published_models
from suite.tracking.store import store_uri


configfile: os.path.join(HERE, "config.yaml")


config["hub_mirror"] = config.get("hub_mirror") or os.environ.get("HUB_MIRROR", "")
try:
    asked, BOS_OF_TOKENIZER = completed(config)
    config.update(load(asked))
    studies.refuse_unfit(config, {name: each.study for name, each in TABLES.items()}, STUDY_FIGURES)
except ValueError as error:
    raise WorkflowError(str(error)) from None

# Where code and data come from, whether a run is watched live, how GPUs are shared and whether tables
# may mix are no settings of a result: they reach jobs by the environment, so that changing them re-runs
# nothing.
os.environ.update(
    LEAP_SUITE_ROOT=HERE,
    PYTHONPATH=os.pathsep.join(filter(None, [*CODE, os.environ.get("PYTHONPATH")])),
    HUB_MIRROR=config["hub_mirror"] and os.path.abspath(config["hub_mirror"]),
    LEAP_SUITE_LIVE_TRACKING=str(int(config["tracking"]["live"])),
    LEAP_SUITE_JOBS_PER_GPU=str(config.get("jobs_per_gpu", 1)),
    LEAP_SUITE_STRICT=str(int(config.get("strict", False))),
)

RUN = config["run"]
RESULTS = f"results/{RUN}"
# how readers are told which results they see
SCALE = config["scale"] if RUN == config["scale"] else f"{config['scale']}, run {RUN}"
CELL = Cell.PATTERN
CELLS = cells(config)
PRUNED = [cell for cell in CELLS if cell.method != DENSE]
FIRST = first_seeds(PRUNED)
JUDGED = judged(config)
SUBJECT = JUDGED["subject"]
OF_SUBJECT = [cell for cell in FIRST if cell.method == SUBJECT]
RECIPES = Recipes(config)
TRAINED = sorted(methods_that_are("trained", config))
LEARN_WEIGHTS = sorted(weight_learners(config))
LEARN_MASKS = sorted(mask_learners(config))
OWN_RULES = list(rule_folders())
LAYER_WISE = sorted(
    {kind for name, kind in config["implementations"].items() if name not in TRAINED} - {*OWN_RULES}
)
PUBLISHED = sorted(set(config["grid"]["models"]) & published_models())
CAPTIONS = Path(HERE, "workflow/report")
NOTE = synthetic_note(config)
STUDIES = studies.names(config)
PATTERNS = {DENSE: "dense"} | {
    name: written_pattern(config["implementations"][name], values)
    for name, values in config["methods"].items()
}
OF_GRID = [name for name, table in TABLES.items() if table.of_grid]
if not PUBLISHED:
    OF_GRID.remove("against_published")
# what every table, figure and page is told beside the results
TOLD = {
    **JUDGED,
    "scale": SCALE,
    "about": config["about"],
    "note": NOTE,
    "published": bool(PUBLISHED),
}


include: "workflow/rules/common.smk"


wildcard_constraints:
    model=one_of(config["models"]),
    method=one_of([DENSE, *config["methods"]]),
    sparsity=r"\d\.\d+",
    seed=r"(/seed-\d+)?",
    corpus="calibration|training|validation|perplexity|in_domain",


include: "workflow/rules/miniatures.smk"
include: "workflow/rules/models.smk"
include: "workflow/rules/corpora.smk"
include: "workflow/rules/baselines.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/harden.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/results.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/tracking.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/page.smk"
include: "workflow/rules/release.smk"
include: "workflow/rules/cite.smk"
include: "workflow/rules/prefetch.smk"
include: "workflow/rules/examples.smk"


if workflow.is_main_process:
    try:
        lm_eval_tasks.refuse(config)
        standing.refuse_unrecorded(dict(zip(CELLS, evaluations_of(CELLS))), RECIPES)
    except ConfigError as error:
        raise WorkflowError(str(error)) from None


onstart:
    jobs = {job: str(workflow.dag.reason(job)) for job in workflow.dag.needrun_jobs()}
    if lacking := missing(config, {job.rule.name for job in jobs}):
        raise WorkflowError("\n".join(lacking))
    trainings = {
        Cell.of(job.wildcards): why
        for job, why in jobs.items()
        if job.rule.name in ("train", "train_weights")
    }
    try:
        store_uri()
        found = standing.remade(Path(RESULTS), trainings, RECIPES)
        lines = standing.announce(found, config.get("replace", False))
        if any(job.rule.name == "collect" for job in jobs):
            if config.get("strict", False):
                made = {Cell.of(job.wildcards) for job in jobs if job.rule.name == "evaluate"}
                refuse_standing([cell for cell in CELLS if cell not in made])
            lines.append(standing.left_out(Path(RESULTS), studies.all_cells(config)))
    except ValueError as error:
        raise WorkflowError(str(error)) from None
    if workflow.local_exec:
        dtypes = {config["models"][model]["dtype"] for model in config["grid"]["models"]}
        lines.append(precision.notice(dtypes, gpus=bool(visible_gpus())))
    for line in filter(None, lines):
        logger.warning(line)
    shown = workflow.output_settings
    if not (shown.verbose or shown.printshellcmds):
        overview = Overview(
            DefaultFormatter(shown.quiet, shown.show_failed_logs),
            {workflow.dag.jobid(job): job.rule.name for job in jobs},
        )
        for handler in logger.handlers:
            if handler.name == "DefaultStreamHandler":  # not Snakemake's own log file
                handler.addFilter(overview)
                handler.setFormatter(overview)
    if workflow.is_main_process and workflow.local_exec:
        # Nothing here has to be spared by a limit of jobs a second, with which (Snakemake 9.27) every
        # finished job adds one more round of scheduling a second, until they take a whole core.
        workflow.scheduler.job_rate_limiter = None
        if config["warm_worker"] and len(jobs) >= worker.WORTHWHILE:
            worker.start()


onsuccess:
    made = {job.rule.name for job in workflow.dag.needrun_jobs(exclude_finished=False)}
    if "all" in made and Quietness.ALL not in (workflow.output_settings.quiet or ()):
        from suite.report.closing import closing_lines

        seconds, generated = time.monotonic() - STARTED, has_generated_tasks(config)
        lines = closing_lines(Path(RESULTS), seconds, config["about"], generated)
        if lines:
            # at exit, since Snakemake has two lines of its own after this block
            atexit.register(print, *lines, sep="\n", file=sys.stderr)


rule all:
    default_target: True
    input:
        rules.tables.input,
        [formats(name) for name in SHOWN],
        rules.page.output,
        f"{RESULTS}/tracking/grid.json",
    localrule: True


# After all others, whose names no target of a study can have.
try:
    studies.refuse_names(
        config, [*(rule.name for rule in workflow.rules), "grid", *OF_GRID, *SHOWN]
    )
except ConfigError as error:
    raise WorkflowError(str(error)) from None


include: "workflow/rules/studies.smk"

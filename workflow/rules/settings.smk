# The run's settings, and what follows from them: its name, folder, cells and methods.

import os
import time
from pathlib import Path

from snakemake.exceptions import WorkflowError

from leap_suite.places import CAPTIONS, PACKAGE, ROOT
from leap_suite.plan import studies
from leap_suite.plan.cell import DENSE, Cell
from leap_suite.plan.config import load
from leap_suite.plan.grid import cells, first_seeds
from leap_suite.plan.methods import (
    mask_learners,
    methods_that_are,
    weight_learners,
    written_pattern,
)
from leap_suite.plan.downloads import of_hub
from leap_suite.plan.recipe import Recipes
from leap_suite.plan.subject import judged
from leap_suite.plan.world import has_generated_tasks
from leap_suite.sources import lm_eval_tasks
from leap_suite.sources.own import completed
from leap_suite.tables.registry import STUDY_FIGURES, TABLES

STARTED = time.monotonic()  # seconds


if CODE:

    configfile: os.path.join(HERE, "config.yaml")


config["hub_mirror"] = config.get("hub_mirror") or os.environ.get("HUB_MIRROR", "")
try:
    asked, BOS_OF_TOKENIZER = completed(config)
    config.update(load(asked))
    of_studies = {name: each.study for name, each in TABLES.items() if not each.measured}
    studies.refuse_unfit(config, of_studies, STUDY_FIGURES)
    if workflow.is_main_process:
        lm_eval_tasks.refuse(config)
except ValueError as error:
    raise WorkflowError(str(error)) from None

# Jobs read these from the environment: they change no result, so that none is recomputed for them.
os.environ.update(
    LEAP_SUITE_ROOT=str(ROOT),
    PYTHONPATH=os.pathsep.join(filter(None, [*CODE, os.environ.get("PYTHONPATH")])),
    HUB_MIRROR=config["hub_mirror"] and os.path.abspath(config["hub_mirror"]),
    LEAP_SUITE_LIVE_TRACKING=str(int(config["tracking"]["live"])),
    LEAP_SUITE_JOBS_PER_GPU=str(config.get("jobs_per_gpu", 1)),
    LEAP_SUITE_STRICT=str(int(config.get("strict", False))),
)

RUN = config["run"]
RESULTS = f"results/{RUN}"
# in titles and captions
SCALE = config["scale"] if RUN == config["scale"] else f"{config['scale']}, run {RUN}"
CELL = Cell.PATTERN
CELLS = cells(config)
PRUNED = [cell for cell in CELLS if cell.method != DENSE]
FIRST = first_seeds(PRUNED)
STUDIES = studies.names(config)
RECIPES = Recipes(config)

PATTERNS = {DENSE: "dense"} | {
    name: written_pattern(config["implementations"][name], values)
    for name, values in config["methods"].items()
}

TRAINED = methods_that_are("trained", config)
LEARN_WEIGHTS = sorted(weight_learners(config))
LEARN_MASKS = sorted(mask_learners(config))
JUDGED = judged(config)
SUBJECT = JUDGED["subject"]
OF_SUBJECT = [cell for cell in FIRST if cell.method == SUBJECT]

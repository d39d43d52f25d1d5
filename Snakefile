"""Benchmark of LLM pruning: models and corpora, pruned, hardened, evaluated, tables and figures."""

import os
import sys

from snakemake.utils import min_version

min_version("9.27")

# Jobs import the code of this checkout, whatever else is installed. Not `workflow.basedir`, which
# is another folder where this file serves as a module of another workflow. Where Snakemake reads it
# from a repository on a server there is no checkout, and the code is that of the installed package.
HERE = str(workflow.current_basedir)
CODE = [HERE, os.path.join(HERE, "workflow")] if os.path.isdir(HERE) else []
sys.path[:0] = CODE


report: "workflow/report/workflow.rst"


include: "workflow/rules/settings.smk"
include: "workflow/rules/resources.smk"
include: "workflow/rules/files.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/params.smk"
include: "workflow/rules/hooks.smk"


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
include: "workflow/rules/measure.smk"
include: "workflow/rules/results.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/tracking.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/show.smk"
include: "workflow/rules/page.smk"
include: "workflow/rules/release.smk"
include: "workflow/rules/cite.smk"
include: "workflow/rules/prefetch.smk"
include: "workflow/rules/documents.smk"
include: "workflow/rules/examples.smk"


rule all:
    default_target: True
    input:
        rules.tables.input,
        [formats(name) for name in SHOWN],
        rules.page.output,
        f"{RESULTS}/tracking/grid.json",
    localrule: True


include: "workflow/rules/studies.smk"

# Checks before a run, its lines in the terminal, its fork server, and its last lines.

import atexit
import sys

from snakemake.io import IOFile
from snakemake.logging import ColorizingTextHandler, DefaultFormatter, logger
from snakemake.persistence.file import FilePersistence
from snakemake.settings.enums import PersistenceBackend, Quietness

from leap_suite.jobs import fork_server, precision
from leap_suite.jobs.gpus import visible_gpus
from leap_suite.plan import preflight
from leap_suite.report.overview import Overview, closing_lines, earlier_seconds
from leap_suite.sources.missing import missing
from leap_suite.tracking.store import store_uri


def refuse_mixed(cells):
    """Raise ValueError if finished results among these cells were not computed alike."""
    from leap_suite.results.collect import Files, Shown, collect
    from leap_suite.results.mixed import refuse

    found = {}
    for cell in cells:
        evaluation = Path(RESULTS, "evaluations", f"{cell.path}.json")
        manifest = Path(RESULTS, "hardened", cell.path, "manifest.json")
        if evaluation.is_file():
            manifest = manifest if manifest.is_file() else None
            found[cell.path] = Files(evaluation, manifest=manifest)
    if found:
        refuse(collect(found, Shown(tasks.shown(config))).cells)


def warnings_before(jobs):
    """Warnings on a run with these jobs; raises ValueError for a run that must not start."""
    trainings = {
        Cell.of(job.wildcards): str(workflow.dag.reason(job))
        for job in jobs
        if job.rule.name in ("train", "train_weights")
    }
    if lacking := missing(config, {job.rule.name for job in jobs}):
        raise ValueError("\n".join(lacking))
    store_uri()
    yield from preflight.recomputed(Path(RESULTS), trainings, RECIPES, config.get("replace", False))
    if any(job.rule.name == "collect" for job in jobs):
        if config.get("strict", False):
            made = {Cell.of(job.wildcards) for job in jobs if job.rule.name == "evaluate"}
            refuse_mixed([cell for cell in CELLS if cell not in made])
        yield preflight.left_out(Path(RESULTS), studies.all_cells(config))
    if workflow.local_exec:
        dtypes = {config["models"][model]["dtype"] for model in config["grid"]["models"]}
        yield precision.notice(dtypes, gpus=bool(visible_gpus()))


def show_one_line_per_job(jobs):
    """Replace Snakemake's blocks of lines in the terminal; its own log keeps them.

    By a filter, since Snakemake finds a logger plugin in installed packages alone, before it reads
    this file, and none in an editable installation.
    """
    settings = workflow.output_settings
    # without progress Snakemake logs no end of a job
    no_progress = set(settings.quiet or ()) == {Quietness.PROGRESS}
    if settings.verbose or settings.printshellcmds or no_progress:
        return
    overview = Overview(
        DefaultFormatter(settings.quiet, settings.show_failed_logs),
        {workflow.dag.jobid(job): job.rule.name for job in jobs},
        earlier_seconds(Path(RESULTS, "benchmarks")),
    )
    for handler in logger.handlers:
        if isinstance(handler, ColorizingTextHandler):
            handler.addFilter(overview)
            handler.setFormatter(overview)


# Here, since Snakemake calls no hook if all files look up to date.
if (
    workflow.is_main_process
    and workflow.workflow_settings.persistence_backend == PersistenceBackend.FILE
):
    records = FilePersistence(nolock=True)
    try:
        for cell, evaluation in zip(CELLS, of_each(CELLS, "evaluations/{}.json")):
            if Path(evaluation).is_file() and not records.metadata(IOFile(evaluation)):
                preflight.refuse_unrecorded(Path(evaluation), RECIPES.evaluation(cell))
    except ValueError as error:
        raise WorkflowError(str(error)) from None


onstart:
    jobs = list(workflow.dag.needrun_jobs())
    try:
        lines = [*filter(None, warnings_before(jobs))]
    except ValueError as error:
        raise WorkflowError(str(error)) from None
    for line in lines:
        logger.warning(line)
    show_one_line_per_job(jobs)
    if workflow.is_main_process and workflow.local_exec:
        # Snakemake 9.27 has a limit of jobs a second that no setting switches off. With it, every
        # finished job adds a round of scheduling each second, until they take a whole core.
        workflow.scheduler.job_rate_limiter = None
        if (
            config["warm_worker"]
            and fork_server.AVAILABLE
            and len(jobs) >= fork_server.WORTHWHILE
        ):
            fork_server.start()


onsuccess:
    made = {job.rule.name for job in workflow.dag.needrun_jobs(exclude_finished=False)}
    if "all" in made and Quietness.ALL not in (workflow.output_settings.quiet or ()):
        seconds, generated = time.monotonic() - STARTED, has_generated_tasks(config)
        lines = closing_lines(Path(RESULTS), seconds, config["about"], generated)
        if lines:
            # at exit, since Snakemake has two lines of its own after this block
            atexit.register(print, *lines, sep="\n", file=sys.stderr)

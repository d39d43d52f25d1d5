"""Rules miniature_world and miniature_checkpoint: texts and tasks, and a model trained on them."""

from pathlib import Path

from leap_suite.jobs.job import progress
from leap_suite.jobs.script import job_of

if __name__ == "__main__":
    with job_of(snakemake):
        target = Path(snakemake.output[0])
        if snakemake.output.get("index"):
            from leap_suite.miniature.dataset import write_world

            write_world(target.parent)
        else:
            from leap_suite.miniature.training import retrain

            retrain(target.name, target.parent, lambda steps: progress(steps, "steps"))

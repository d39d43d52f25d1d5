"""Rule evaluate: tasks and perplexity of one cell."""

from pathlib import Path

from leap_suite.jobs.script import job_of
from leap_suite.plan.cell import Cell

if __name__ == "__main__":
    with job_of(snakemake):
        from leap_suite.stages.evaluate import evaluate

        params, inputs = snakemake.params, snakemake.input
        evaluate(
            Path(inputs.model).parent,
            Path(inputs.hardened[0]).parent if inputs.hardened else None,
            Path(inputs.perplexity),
            Path(inputs.in_domain) if inputs.in_domain else None,
            Cell.of(snakemake.wildcards),
            params.run,
            params.recipe,
            Path(inputs.world).parent / "tasks" if inputs.world else None,
            Path(snakemake.output.evaluation),
            Path(snakemake.output.answers),
        )

"""Rule harden: checkpoint, mask and manifest of one cell."""

from pathlib import Path

from leap_suite.jobs.script import job_of
from leap_suite.plan.cell import Cell

if __name__ == "__main__":
    with job_of(snakemake):
        from leap_suite.stages.harden import harden

        params, inputs, cell = snakemake.params, snakemake.input, Cell.of(snakemake.wildcards)
        model, target = Path(inputs.model).parent, Path(snakemake.output.manifest).parent
        harden(model, dict(inputs.items()), cell, params.run, params.recipe, target)

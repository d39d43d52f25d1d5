"""Rule adopt: the result of a baseline's own rule as a pruned cell."""

from pathlib import Path

from leap_suite.jobs.script import job_of
from leap_suite.plan.cell import Cell

if __name__ == "__main__":
    with job_of(snakemake):
        from leap_suite.stages.adopt import adopt

        inputs, cell = snakemake.input, Cell.of(snakemake.wildcards)
        files = {key: inputs[key] for key in ("mask", "weights", "benchmark")}
        adopt(Path(inputs.model).parent, files, cell, snakemake.params.recipe, snakemake.output)

"""Rule measure: bytes and speed of one cell."""

from pathlib import Path

from leap_suite.jobs.script import job_of
from leap_suite.plan.cell import Cell

if __name__ == "__main__":
    with job_of(snakemake):
        from leap_suite.sparse.measure import measure

        params, inputs = snakemake.params, snakemake.input
        measure(
            Path(inputs.model).parent,
            Path(inputs.hardened[0]).parent if inputs.hardened else None,
            Cell.of(snakemake.wildcards),
            params.run,
            params.recipe,
            snakemake.threads,
            Path(snakemake.output[0]),
        )

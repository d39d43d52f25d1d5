"""Rule harden: checkpoint, mask and manifest of one cell."""

from pathlib import Path
from typing import TYPE_CHECKING

from suite.jobs.job import job, use_threads
from suite.plan.cell import Cell
from suite.tracking.run import open_run

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Write and verify the final checkpoint."""
    params, inputs = snakemake.params, snakemake.input
    cell = Cell.of(snakemake.wildcards)
    with open_run(snakemake.output.journal, "harden", params.run, cell, {}) as run:
        from suite.stages.harden import harden

        model, target = Path(inputs.model).parent, Path(snakemake.output.manifest).parent
        run.metrics(harden(model, dict(inputs.items()), cell, params.run, params.recipe, target))
        run.artifact(snakemake.output.manifest)


if __name__ == "__main__":
    use_threads(snakemake.threads)
    with job(snakemake.log[0]):
        main()

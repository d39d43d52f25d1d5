"""Rule adopt: what a baseline's own rule wrote, as a pruned cell."""

from pathlib import Path
from typing import TYPE_CHECKING

from suite.jobs.job import job, use_threads
from suite.plan.cell import Cell
from suite.tracking.run import open_run

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Check it, and write weights, mask and report."""
    params, inputs, outputs = snakemake.params, snakemake.input, snakemake.output
    cell, settings = Cell.of(snakemake.wildcards), params.recipe["method"]
    with open_run(outputs.journal, "prune", params.run, cell, settings) as run:
        from suite.stages.adopt import adopt

        files = {key: inputs[key] for key in ("mask", "weights", "benchmark")}
        run.metrics(adopt(Path(inputs.model).parent, files, cell, params.recipe, outputs))
        run.artifact(outputs.report)


if __name__ == "__main__":
    use_threads(snakemake.threads)
    with job(snakemake.log[0]):
        main()

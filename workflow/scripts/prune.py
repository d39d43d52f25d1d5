"""Rule prune: one cell with a layer-wise method."""

from pathlib import Path
from typing import TYPE_CHECKING

from suite.jobs.gpus import use_gpus
from suite.jobs.job import job, use_threads
from suite.tracking.run import open_run

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Prune the model and write weights, mask and report."""
    params = snakemake.params
    with open_run(snakemake.output.journal, "prune", params.cell, params.settings) as run:
        from suite.stages.prune import prune

        cost = prune(
            Path(snakemake.input.model),
            Path(snakemake.input.calibration),
            params.implementation,
            params.settings,
            float(params.cell["sparsity"]),
            params.batch,
            snakemake.output,
        )
        run.metrics(cost)
        run.artifact(snakemake.output.report)


if __name__ == "__main__":
    use_threads(snakemake.threads)
    with job(snakemake.log[0]):
        use_gpus(snakemake.resources.get("gpu", 0))
        main()

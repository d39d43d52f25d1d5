"""Rule harden: checkpoint, mask and manifest of one cell."""

from pathlib import Path
from typing import TYPE_CHECKING

from suite.jobs.job import job, use_threads
from suite.tracking.run import open_run

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Write and verify the final checkpoint."""
    params = snakemake.params
    with open_run(snakemake.output.journal, "harden", params.cell, {}) as run:
        from suite.stages.harden import harden

        target = Path(snakemake.output.manifest).parent
        model = Path(snakemake.input.model)
        counts = harden(model, dict(snakemake.input.items()), params.cell, target, params.pattern)
        run.metrics(counts)
        run.artifact(snakemake.output.manifest)


if __name__ == "__main__":
    use_threads(snakemake.threads)
    with job(snakemake.log[0]):
        main()

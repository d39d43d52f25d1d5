"""Rule harden: checkpoint, mask and manifest of one cell."""

from pathlib import Path

from suite.jobs.job import job, use_threads
from suite.plan.cell import Cell


def main() -> None:
    """Write and verify the final checkpoint."""
    from suite.stages.harden import harden

    params, inputs, cell = snakemake.params, snakemake.input, Cell.of(snakemake.wildcards)
    model, target = Path(inputs.model).parent, Path(snakemake.output.manifest).parent
    harden(model, dict(inputs.items()), cell, params.run, params.recipe, target)


if __name__ == "__main__":
    use_threads(snakemake.threads)
    with job(snakemake.log[0]):
        main()

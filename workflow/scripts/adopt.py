"""Rule adopt: what a baseline's own rule wrote, as a pruned cell."""

from pathlib import Path

from suite.jobs.job import job, use_threads
from suite.plan.cell import Cell


def main() -> None:
    """Check it, and write weights, mask and report."""
    from suite.stages.adopt import adopt

    inputs, cell = snakemake.input, Cell.of(snakemake.wildcards)
    files = {key: inputs[key] for key in ("mask", "weights", "benchmark")}
    adopt(Path(inputs.model).parent, files, cell, snakemake.params.recipe, snakemake.output)


if __name__ == "__main__":
    use_threads(snakemake.threads)
    with job(snakemake.log[0]):
        main()

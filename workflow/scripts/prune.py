"""Rule prune: one cell with a layer-wise method."""

from pathlib import Path

from suite.jobs.determinism import use_determinism
from suite.jobs.gpus import use_gpus
from suite.jobs.job import job, use_threads
from suite.plan.cell import Cell


def main() -> None:
    """Prune the model and write weights, mask and report."""
    from suite.stages.prune import prune

    inputs, cell = snakemake.input, Cell.of(snakemake.wildcards)
    model, calibration = Path(inputs.model).parent, Path(inputs.calibration)
    names = ("allocation", "mask_from", "weights_from")
    taken = {name: Path(inputs[name]) for name in names if inputs.get(name)}
    prune(model, calibration, cell, snakemake.params.recipe, snakemake.output, taken)


if __name__ == "__main__":
    use_threads(snakemake.threads)
    with job(snakemake.log[0]):
        use_gpus(snakemake.resources.get("gpu", 0))
        use_determinism(snakemake.params.recipe)
        main()

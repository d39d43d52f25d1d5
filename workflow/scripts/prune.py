"""Rule prune: one cell with a layer-wise method."""

from pathlib import Path
from typing import TYPE_CHECKING

from suite.jobs.determinism import use_determinism
from suite.jobs.gpus import use_gpus
from suite.jobs.job import job, use_threads
from suite.plan.cell import Cell
from suite.tracking.run import open_run

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Prune the model and write weights, mask and report."""
    params, inputs, outputs = snakemake.params, snakemake.input, snakemake.output
    cell, settings = Cell.of(snakemake.wildcards), params.recipe["method"]
    with open_run(outputs.journal, "prune", params.run, cell, settings) as run:
        from suite.stages.prune import prune

        model, calibration = Path(inputs.model).parent, Path(inputs.calibration)
        names = ("allocation", "mask_from", "weights_from")
        taken = {name: Path(inputs[name]) for name in names if inputs.get(name)}
        run.metrics(prune(model, calibration, cell, params.recipe, outputs, taken))
        run.artifact(outputs.report)


if __name__ == "__main__":
    use_threads(snakemake.threads)
    with job(snakemake.log[0]):
        use_gpus(snakemake.resources.get("gpu", 0))
        use_determinism(snakemake.params.recipe)
        main()

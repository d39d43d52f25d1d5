"""Rule prune: one cell with a layer-wise method."""

from pathlib import Path

from leap_suite.jobs.script import job_of
from leap_suite.plan.cell import Cell

if __name__ == "__main__":
    with job_of(snakemake):
        from leap_suite.stages.prune import prune

        inputs, cell = snakemake.input, Cell.of(snakemake.wildcards)
        model, calibration = Path(inputs.model).parent, Path(inputs.calibration)
        names = ("allocation", "mask_from", "weights_from")
        taken = {name: Path(inputs[name]) for name in names if inputs.get(name)}
        prune(model, calibration, cell, snakemake.params.recipe, snakemake.output, taken)

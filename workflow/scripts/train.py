"""The rules train and train_weights: one learned cell. With several GPUs, one process on each."""

from pathlib import Path

from suite.jobs.processes import one_on_each
from suite.jobs.script import job_of

if __name__ == "__main__":
    with job_of(snakemake):
        one_on_each(snakemake.resources.get("gpu", 0))

        from suite.plan.cell import Cell
        from suite.stages import train, train_weights
        from suite.stages.execution import execution_of

        params, inputs = snakemake.params, snakemake.input
        model, cell = Path(inputs.model).parent, Cell.of(snakemake.wildcards)
        names = ("warm_start", "sparse_masks")
        masks = {name: Path(inputs[name]) for name in names if inputs.get(name)}
        execution = execution_of(
            model, params.recipe["implementation"], cell.method, snakemake.config
        )
        common = (cell, params.run, params.recipe, Path(params.state), execution, snakemake.output)
        if snakemake.output.get("logits"):
            train.learn(model, Path(inputs.training), masks, *common)
        else:
            train_weights.learn(model, Path(inputs.training), *common)

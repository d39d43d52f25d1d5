"""The rules train and train_weights: one learned cell. With several GPUs, one process on each."""

from pathlib import Path

from leap_suite.jobs.processes import one_on_each
from leap_suite.jobs.script import job_of

if __name__ == "__main__":
    with job_of(snakemake):
        one_on_each(snakemake.resources.get("gpu", 0))

        from leap_suite.plan.cell import Cell
        from leap_suite.stages.execution import candidates
        from leap_suite.stages.train import Training, train_masks, train_weights

        params, inputs, outputs = snakemake.params, snakemake.input, snakemake.output
        model, cell = Path(inputs.model).parent, Cell.of(snakemake.wildcards)
        executions = candidates(params.recipe["implementation"], cell.method, snakemake.config)
        place = Path(inputs.training), cell, params.run, params.recipe, Path(params.state)
        training = Training(model, *place, executions, outputs)
        names = ("warm_start", "sparse_masks", "mask_from", "weights_from")
        taken = {name: Path(inputs[name]) for name in names if inputs.get(name)}
        (train_masks if outputs.get("logits") else train_weights)(training, taken)

"""The rules train and train_weights: one learned cell. With several GPUs, one process on each."""

from pathlib import Path

from suite.jobs.determinism import use_determinism
from suite.jobs.gpus import use_gpus
from suite.jobs.job import job, use_threads
from suite.jobs.processes import log_of, one_on_each


def main() -> None:
    """Train and write logits, or weights with their mask; a report and a journal."""
    from suite.plan.cell import Cell
    from suite.stages import train, train_weights
    from suite.stages.execution import execution_of

    params, inputs = snakemake.params, snakemake.input
    model, cell = Path(inputs.model).parent, Cell.of(snakemake.wildcards)
    names = ("warm_start", "sparse_masks")
    masks = {name: Path(inputs[name]) for name in names if inputs.get(name)}
    execution = execution_of(model, params.recipe["implementation"], cell.method, snakemake.config)
    common = (cell, params.run, params.recipe, Path(params.state), execution, snakemake.output)
    if snakemake.output.get("logits"):
        train.learn(model, Path(inputs.training), masks, *common)
    else:
        train_weights.learn(model, Path(inputs.training), *common)


if __name__ == "__main__":
    gpus = snakemake.resources.get("gpu", 0)
    use_threads(max(1, snakemake.threads // max(1, gpus)))
    with job(log_of(snakemake.log[0])):
        use_gpus(gpus)
        one_on_each(gpus)
        use_determinism(snakemake.params.recipe)
        main()

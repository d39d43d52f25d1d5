"""Rule train: learned logits of one cell. With several GPUs, one process on each."""

from pathlib import Path
from typing import TYPE_CHECKING

from suite.jobs.determinism import use_determinism
from suite.jobs.gpus import use_gpus
from suite.jobs.job import job, use_threads
from suite.jobs.processes import log_of, one_on_each

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Train and write logits, report and journal."""
    from suite.plan.cell import Cell
    from suite.stages.execution import execution_of
    from suite.stages.train import learn

    params, inputs = snakemake.params, snakemake.input
    model, cell = Path(inputs.model).parent, Cell.of(snakemake.wildcards)
    learn(
        model,
        Path(inputs.training),
        {name: Path(inputs[name]) for name in ("warm_start", "sparse_masks") if inputs.get(name)},
        cell,
        params.run,
        params.recipe,
        Path(params.state),
        execution_of(model, params.recipe["implementation"], cell.method, snakemake.config),
        snakemake.output,
    )


if __name__ == "__main__":
    gpus = snakemake.resources.get("gpu", 0)
    use_threads(max(1, snakemake.threads // max(1, gpus)))
    with job(log_of(snakemake.log[0])):
        use_gpus(gpus)
        one_on_each(gpus)
        use_determinism(snakemake.params.recipe)
        main()

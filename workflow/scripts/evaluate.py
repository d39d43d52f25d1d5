"""Rule evaluate: tasks and perplexity of one cell."""

from pathlib import Path

from suite.jobs.determinism import use_determinism
from suite.jobs.gpus import use_gpus
from suite.jobs.job import job, use_threads
from suite.plan.cell import Cell


def main() -> None:
    """Evaluate the cell; write its scores and its items."""
    from suite.stages.evaluate import evaluate

    params, inputs = snakemake.params, snakemake.input
    evaluate(
        Path(inputs.model).parent,
        Path(inputs.hardened[0]).parent if inputs.hardened else None,
        Path(inputs.perplexity),
        Path(inputs.in_domain) if inputs.in_domain else None,
        Cell.of(snakemake.wildcards),
        params.run,
        params.recipe,
        Path(inputs.world).parent / "tasks" if inputs.world else None,
        Path(snakemake.output.evaluation),
        Path(snakemake.output.answers),
    )


if __name__ == "__main__":
    use_threads(snakemake.threads)
    with job(snakemake.log[0]):
        use_gpus(snakemake.resources.get("gpu", 0))
        use_determinism(snakemake.params.recipe)
        main()

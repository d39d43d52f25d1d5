"""Rule validate: perplexity of one checkpoint on the validation corpus."""

from pathlib import Path

from suite.jobs.determinism import use_determinism
from suite.jobs.gpus import use_gpus
from suite.jobs.job import job, use_threads


def main() -> None:
    """Load the checkpoint and write its perplexity."""
    from suite.plan.cell import Cell
    from suite.stages.models import intact_checkpoint
    from suite.stages.validate import validate

    inputs = snakemake.input
    model = Path(inputs.model).parent
    validate(
        model,
        Path(inputs.hardened[0]).parent if inputs.hardened else intact_checkpoint(model),
        Path(inputs.validation),
        Cell.of(snakemake.wildcards),
        snakemake.params.recipe,
        Path(snakemake.output[0]),
    )


if __name__ == "__main__":
    use_threads(snakemake.threads)
    with job(snakemake.log[0]):
        use_gpus(snakemake.resources.get("gpu", 0))
        use_determinism(snakemake.params.recipe)
        main()

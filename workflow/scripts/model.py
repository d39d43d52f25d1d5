"""Rule model: the dense checkpoint of one model."""

from pathlib import Path

from suite.jobs.job import job, use_threads


def main() -> None:
    """Prepare the model's folder."""
    from suite.stages.models import prepare
    from suite.stages.zeros import warn_of_zeros

    folder = Path(snakemake.output[0]).parent
    prepare(snakemake.params.recipe, folder)
    warn_of_zeros(folder, snakemake.wildcards.model)


if __name__ == "__main__":
    use_threads(snakemake.threads)
    with job(snakemake.log[0]):
        main()

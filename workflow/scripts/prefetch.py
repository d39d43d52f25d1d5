"""Rule prefetch: all that the scale takes from a hub, in one folder."""

from pathlib import Path

from suite.jobs.job import job, use_threads


def main() -> None:
    """Fetch what is not there whole."""
    from suite.sources.mirror.fill import prefetch

    prefetch(snakemake.params.needs, Path(snakemake.params.target))


if __name__ == "__main__":
    use_threads(snakemake.threads)
    with job(snakemake.log[0]):
        main()

"""Rule prefetch: all that the scale takes from a hub, in one folder."""

from pathlib import Path

from suite.jobs.script import job_of

if __name__ == "__main__":
    with job_of(snakemake):
        from suite.sources.mirror.fill import prefetch

        prefetch(snakemake.params.needs, Path(snakemake.params.target))

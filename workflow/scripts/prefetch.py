"""Rule prefetch: models, texts and tasks of the scale, in the Hub's cache."""

from leap_suite.jobs.script import job_of

if __name__ == "__main__":
    with job_of(snakemake):
        from leap_suite.sources.prefetch import prefetch

        prefetch(snakemake.params.downloads)

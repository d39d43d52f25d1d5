"""Rule cite: BibTeX of the run's methods, tasks and texts."""

from pathlib import Path

from leap_suite.jobs.script import job_of

if __name__ == "__main__":
    with job_of(snakemake):
        from leap_suite.report.cite import write_references

        params = snakemake.params
        write_references(params.scale, params.methods, params.needs, Path(snakemake.output[0]))

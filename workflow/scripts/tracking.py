"""Rule tracking: one complete run in MLflow for every cell."""

from pathlib import Path

from leap_suite.jobs.script import job_of

if __name__ == "__main__":
    with job_of(snakemake):
        from leap_suite.artifacts.files import write_json
        from leap_suite.tracking.store import store_uri
        from leap_suite.tracking.upload import upload

        results, run = Path(snakemake.input.results), snakemake.params.run
        write_json(snakemake.output[0], upload([results], Path("results") / run, run, store_uri()))

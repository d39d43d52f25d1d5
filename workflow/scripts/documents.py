"""Rule documents: the rows of the Hub that corpora are read from."""

from pathlib import Path

from leap_suite.jobs.script import job_of

if __name__ == "__main__":
    with job_of(snakemake):
        from leap_suite.sources.listed import write_documents

        write_documents(snakemake.params.corpora, Path(snakemake.output[0]))

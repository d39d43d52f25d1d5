"""Rule cite: the BibTeX of what the run used."""

from pathlib import Path

from suite.jobs.job import job


def main() -> None:
    """Write references.bib."""
    from suite.report.cite import write_references

    params = snakemake.params
    write_references(params.scale, params.methods, params.needs, Path(snakemake.output[0]))


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main()

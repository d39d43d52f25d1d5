"""Rule release: what others need, in one folder."""

from pathlib import Path

from suite.jobs.job import job


def main() -> None:
    """Pack every cell's mask and manifest, and the tables."""
    from suite.report.release import pack
    from suite.results.frame import read

    params, inputs = snakemake.params, snakemake.input
    folders = [Path(file).parent for file in inputs.manifests]
    cells = dict(zip(params.places, folders, strict=True))
    results = read(Path(inputs.frame), Path(inputs.answers))
    tables, target = [Path(table) for table in inputs.tables], Path(snakemake.output[0])
    pack(cells, results, tables, params.licences, params.datasets, target)


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main()

"""Rule release: masks, manifests, tables and model cards in one folder."""

from pathlib import Path

from leap_suite.jobs.script import job_of

if __name__ == "__main__":
    with job_of(snakemake):
        from leap_suite.report.release import pack
        from leap_suite.results.frame import read

        params, inputs = snakemake.params, snakemake.input
        folders = [Path(file).parent for file in inputs.manifests]
        cells = dict(zip(params.places, folders, strict=True))
        results = read(Path(inputs.frame), Path(inputs.answers))
        tables, target = [Path(table) for table in inputs.tables], Path(snakemake.output[0])
        pack(cells, results, tables, params.licences, params.datasets, target)

"""Rule sweep_table: the evaluations of the sweep in one table."""

from pathlib import Path
from typing import TYPE_CHECKING

from suite.jobs.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Write the table as CSV and Markdown, in the order of the cells."""
    from suite.tables.evaluations import read_cells
    from suite.tables.main import write_csv, write_markdown
    from suite.tables.mixed import checked

    params, inputs, outputs = snakemake.params, snakemake.input, snakemake.output
    evaluations, manifests = (list(map(Path, f)) for f in (inputs.evaluations, inputs.manifests))
    results = read_cells(evaluations, params.recipes, manifests)
    checked(results)
    write_csv(results, Path(outputs.csv))
    write_markdown(results, Path(outputs.markdown), params.scale)


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main()

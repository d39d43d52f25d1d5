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

    params, outputs = snakemake.params, snakemake.output
    results = read_cells([Path(file) for file in snakemake.input.evaluations], params.recipes)
    write_csv(results, Path(outputs.csv))
    write_markdown(results, Path(outputs.markdown), params.scale)


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main()

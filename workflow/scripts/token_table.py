"""Rule token_table: methods that are shown more or less text."""

from pathlib import Path
from typing import TYPE_CHECKING

from suite.jobs.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Write the table as CSV and Markdown."""
    from suite.tables.evaluations import read_cells
    from suite.tables.mixed import checked
    from suite.tables.seconds import read_seconds
    from suite.tables.tokens import token_rows, write_token_csv, write_token_markdown

    params, inputs, outputs = snakemake.params, snakemake.input, snakemake.output
    evaluations, manifests = (list(map(Path, f)) for f in (inputs.evaluations, inputs.manifests))
    results = read_cells(evaluations, params.recipes, manifests)
    mixed = checked(results)
    seconds = read_seconds(manifests)
    rows = token_rows(results, params.points, seconds)
    write_token_csv(rows, Path(outputs.csv))
    write_token_markdown(rows, Path(outputs.markdown), params.scale, mixed)


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main()

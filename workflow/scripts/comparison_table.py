"""Rule comparison_table: the methods of a study in the mean over its cells."""

from pathlib import Path
from typing import TYPE_CHECKING

from suite.jobs.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Write the table as CSV and Markdown."""
    from suite.artifacts.items import read_items
    from suite.tables import comparison
    from suite.tables.evaluations import read_cells
    from suite.tables.headline import item_files
    from suite.tables.mixed import checked
    from suite.tables.seconds import read_seconds

    params, inputs, outputs = snakemake.params, snakemake.input, snakemake.output
    evaluations, manifests = (list(map(Path, f)) for f in (inputs.evaluations, inputs.manifests))
    results = read_cells(evaluations, params.recipes, manifests)
    mixed = checked(results)
    files = item_files(results, [Path(file) for file in inputs.answers])
    items = {cell: read_items(file) for cell, file in files.items()}
    seconds = read_seconds(manifests)
    rows = comparison.comparison_rows(results, items, seconds)
    comparison.write_comparison_csv(rows, Path(outputs.csv))
    comparison.write_comparison_markdown(rows, Path(outputs.markdown), params.scale, mixed)


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main()

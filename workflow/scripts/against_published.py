"""Rule against_published: our numbers beside the published ones."""

from pathlib import Path
from typing import TYPE_CHECKING

from suite.jobs.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Write the comparison as CSV and Markdown."""
    from suite.tables.against_published import compare, write_against_published
    from suite.tables.evaluations import read_cells
    from suite.tables.mixed import checked
    from suite.tables.published import read_published
    from suite.tables.published_leads import leads

    inputs, outputs = snakemake.input, snakemake.output
    evaluations, manifests = (list(map(Path, f)) for f in (inputs.evaluations, inputs.manifests))
    results = read_cells(evaluations, snakemake.params.recipes, manifests)
    mixed = checked(results)
    published = read_published()
    write_against_published(
        compare(results, published),
        leads(results, published),
        Path(outputs.csv),
        Path(outputs.markdown),
        mixed,
    )


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main()

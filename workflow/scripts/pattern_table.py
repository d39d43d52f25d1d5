"""Rule pattern_table: methods of all patterns in one table, in three formats."""

from pathlib import Path
from typing import TYPE_CHECKING

from suite.jobs.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Write the table as CSV, Markdown and LaTeX: model by model, densest first."""
    from suite.tables.evaluations import read_cells
    from suite.tables.main import write_csv, write_latex, write_markdown
    from suite.tables.mixed import checked

    params, outputs = snakemake.params, snakemake.output
    evaluations = [Path(file) for file in snakemake.input.evaluations]
    manifests = [Path(file) for file in snakemake.input.manifests]
    read = read_cells(evaluations, params.recipes, manifests)
    checked(read)
    models = list(dict.fromkeys(result.cell.model for result in read))
    results = sorted(read, key=lambda r: (models.index(r.cell.model), r.cell.target))
    write_csv(results, Path(outputs.csv), params.patterns)
    write_markdown(results, Path(outputs.markdown), params.scale, params.patterns)
    write_latex(results, Path(outputs.latex), params.scale, params.patterns)


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main()

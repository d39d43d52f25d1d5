"""Rule tables: all evaluations in one table, in three formats."""

from pathlib import Path
from typing import TYPE_CHECKING

from suite.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Write the table as CSV, Markdown and LaTeX, and the headline."""
    from suite.evaluations import main_table
    from suite.headline import write_headline
    from suite.tables import write_csv, write_latex, write_markdown

    params, outputs = snakemake.params, snakemake.output
    cells = main_table([Path(file) for file in snakemake.input], params.models, params.methods)
    write_csv(cells, Path(outputs.csv))
    write_markdown(cells, Path(outputs.markdown), params.scale)
    write_latex(cells, Path(outputs.latex), params.scale)
    write_headline(cells, params.layer_wise, Path(outputs.headline))


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main()

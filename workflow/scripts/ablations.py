"""Rule ablations: a method and its variants, as tables and as a figure."""

from pathlib import Path
from typing import TYPE_CHECKING

from suite.jobs.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Write the table as CSV and Markdown, and draw the figure in every format."""
    from suite.figures.ablations import ablations
    from suite.tables.ablations import ablation_rows, write_ablation_csv, write_ablation_markdown
    from suite.tables.evaluations import read_cells

    params, outputs = snakemake.params, snakemake.output
    results = read_cells([Path(file) for file in snakemake.input], params.get("recipes"))
    rows = ablation_rows(results, params.base, params.variants)
    table = Path(outputs.csv)
    write_ablation_csv(rows, table)
    write_ablation_markdown(rows, Path(outputs.markdown), params.scale, params.base)
    figures = [Path(file) for file in (outputs.svg, outputs.pdf, outputs.png)]
    ablations(table, figures, params.get("note", ""))


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main()

"""Rule ablation_table: a method and its variants."""

from pathlib import Path
from typing import TYPE_CHECKING

from suite.jobs.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Write the table as CSV and Markdown."""
    from suite.tables.ablations import ablation_rows, write_ablation_csv, write_ablation_markdown
    from suite.tables.evaluations import read_cells
    from suite.tables.mixed import checked

    params, inputs, outputs = snakemake.params, snakemake.input, snakemake.output
    evaluations, manifests = (list(map(Path, f)) for f in (inputs.evaluations, inputs.manifests))
    results = read_cells(evaluations, params.recipes, manifests)
    mixed = checked(results)
    rows = ablation_rows(results, params.base, params.variants)
    write_ablation_csv(rows, Path(outputs.csv))
    write_ablation_markdown(rows, Path(outputs.markdown), params.scale, params.base, mixed)


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main()

"""Rule tables: all evaluations in one table, in three formats, and what they say of the claim."""

from pathlib import Path
from typing import TYPE_CHECKING

from suite.jobs.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Write the table as CSV, Markdown and LaTeX, the headline and the verdict."""
    from suite.tables.evaluations import main_table, read_cells
    from suite.tables.generated import any_generated
    from suite.tables.headline import headline, item_files, write_headline
    from suite.tables.main import write_csv, write_latex, write_markdown, write_tabular
    from suite.tables.mixed import checked
    from suite.tables.published import read_published
    from suite.tables.published_leads import leads
    from suite.tables.verdict import write_verdict

    params, outputs = snakemake.params, snakemake.output
    evaluations = [Path(file) for file in snakemake.input.evaluations]
    manifests = [Path(file) for file in snakemake.input.manifests]
    results = main_table(evaluations, params.models, params.methods, params.recipes, manifests)
    checked(results)
    write_csv(results, Path(outputs.csv))
    write_markdown(results, Path(outputs.markdown), params.scale)
    write_latex(results, Path(outputs.latex), params.scale)
    write_tabular(results, Path(outputs.tabular), params.scale)
    items = item_files(read_cells(evaluations), [Path(file) for file in snakemake.input.answers])
    judged = headline(results, items, params.layer_wise, params.retraining)
    write_headline(judged, Path(outputs.headline))
    verdict, generated = Path(outputs.verdict), any_generated(results)
    # that the paper's models were asked generated tasks is told by rule against_published
    known = leads(results, read_published()) if params.compare and not generated else []
    write_verdict(judged, params.scale, params.about, verdict, generated, known)


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main()

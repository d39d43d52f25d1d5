"""Rule page: the report as one HTML file."""

from pathlib import Path
from typing import TYPE_CHECKING

from suite.jobs.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Collect what the page shows and write it."""
    from jinja2 import Template

    from suite.plan.code import ROOT
    from suite.report.page.write import write_page
    from suite.tables.against_published import compare
    from suite.tables.evaluations import read_cells
    from suite.tables.published import read_published
    from suite.tables.published_leads import leads

    inputs, params = snakemake.input, snakemake.params
    evaluations = [Path(file) for file in inputs.evaluations]
    published, recipes = read_published(), params.recipes
    compared = read_cells(evaluations, recipes) if params.compare else []
    # the captions are those of Snakemake's own report
    captions = [
        Template((ROOT / f"workflow/report/{name}.rst").read_text()).render(snakemake=snakemake)
        for name in params.captions
    ]
    write_page(
        params.scale,
        params.about,
        evaluations,
        dict(zip(params.places, map(Path, inputs.manifests), strict=True)),
        Path(inputs.headline),
        compare(compared, published) if compared else [],
        list(zip(map(Path, inputs.figures), captions, strict=True)),
        params.settings,
        Path(snakemake.output[0]),
        params.note,
        recipes,
        leads(compared, published) if compared else [],
        [Path(file) for file in inputs.tables],
        [Path(file) for file in inputs.journals],
    )


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main()

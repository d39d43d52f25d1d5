"""Rule page: the report as one HTML file."""

from datetime import date
from pathlib import Path

from leap_suite.jobs.script import job_of

if __name__ == "__main__":
    with job_of(snakemake):
        from jinja2 import Template

        from leap_suite.jobs.provenance import repository
        from leap_suite.places import CAPTIONS
        from leap_suite.report.page.write import PageInputs, write_page
        from leap_suite.results.frame import read
        from leap_suite.tables.context import Context

        inputs, params = snakemake.input, snakemake.params
        # the captions are those of Snakemake's own report
        captions = [
            Template((CAPTIONS / f"{name}.rst").read_text()).render(snakemake=snakemake)
            for name in params.captions
        ]
        shown = PageInputs(
            dict(zip(params.places, map(Path, inputs.manifests), strict=True)),
            list(zip(map(Path, inputs.figures), captions, strict=True)),
            params.settings,
            [Path(file) for file in inputs.tables],
            [Path(file) for file in inputs.speeds],
            params.command,
            date.today().isoformat(),
            repository(),
        )
        results = read(Path(inputs.frame), Path(inputs.answers), params.recipes)
        write_page(results, Context(**params.told), shown, Path(snakemake.output[0]))

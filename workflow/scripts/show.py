"""Rules table_* and figure_*: make a table or figure by the name of its function."""

from pathlib import Path
from typing import Any

from leap_suite.jobs.script import job_of


def inputs(files: dict[str, Any]) -> dict[str, Any]:
    """Arguments of a function: the frames as `results`, other inputs as a path or list of paths."""
    from leap_suite.results.frame import read

    given: dict[str, Any] = {}
    if "frame" in files:
        frames = Path(files.pop("frame")), Path(files.pop("answers"))
        given["results"] = read(*frames, snakemake.params.recipes)
    for name, value in files.items():
        given[name] = Path(value) if isinstance(value, str) else [Path(file) for file in value]
    return given


if __name__ == "__main__":
    with job_of(snakemake):
        from leap_suite.artifacts.files import write_text
        from leap_suite.tables.context import Context
        from leap_suite.tables.registry import TABLES, table

        params = snakemake.params
        given = inputs(dict(snakemake.input.items()))
        outputs = [Path(file) for file in snakemake.output]
        if params.kind == "table":
            texts = table(params.function)(**given, context=Context(**params.told))
            for form, output in zip(TABLES[params.function].formats, outputs, strict=True):
                write_text(output, texts[form])
        else:
            from leap_suite.figures.style import draw

            draw(params.function, given, Context(**params.told), outputs)

"""Rule examples: tables and figures for the repository."""

from pathlib import Path
from typing import TYPE_CHECKING

from suite.jobs.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Copy them and write where they come from."""
    from suite.report.examples import write_examples

    inputs, scale = snakemake.input, snakemake.params.scale
    files, evaluations = ([Path(f) for f in part] for part in (inputs.files, inputs.evaluations))
    kept = {Path(snakemake.params.results): [Path(file) for file in inputs.get("kept", [])]}
    write_examples(scale, snakemake.rule, files, evaluations, Path(snakemake.output[0]), kept)


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main()

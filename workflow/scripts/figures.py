"""The rules figure_*: one figure each, in every format."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.jobs.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Call the function of the figure's name on the rule's inputs, by their names."""
    name = snakemake.params.figure
    draw = getattr(import_module(f"suite.figures.{name}"), name)
    inputs = {key: paths(value) for key, value in snakemake.input.items()}
    outputs = [Path(file) for file in snakemake.output]
    draw(**inputs, outputs=outputs, note=snakemake.params.note)


def paths(value: Any) -> Path | list[Path]:
    """One path for one file, a list for a list."""
    return Path(value) if isinstance(value, str) else [Path(file) for file in value]


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main()

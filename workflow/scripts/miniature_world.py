"""Rule miniature_world: texts and tasks of the generated world."""

from pathlib import Path
from typing import TYPE_CHECKING

from suite.jobs.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Write the world's folder."""
    from suite.miniature.dataset import write_world

    write_world(Path(snakemake.output.index).parent)


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main()

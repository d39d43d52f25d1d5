"""Rule figures: accuracy and perplexity by method and sparsity."""

from pathlib import Path
from typing import TYPE_CHECKING

from suite.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Draw the figure in every format."""
    from suite.figures.quality import accuracy_and_perplexity

    accuracy_and_perplexity(Path(snakemake.input[0]), [Path(file) for file in snakemake.output])


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main()

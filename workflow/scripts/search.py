"""Rule search: settings compared by their perplexity on validation text."""

from pathlib import Path
from typing import TYPE_CHECKING

from suite.jobs.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Write the table, best settings first."""
    from suite.tables.search import ranking, write_ranking

    table = ranking([Path(file) for file in snakemake.input], snakemake.params.settings)
    write_ranking(table, Path(snakemake.output.csv), Path(snakemake.output.markdown))


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main()

"""Rule search: settings compared by their perplexity on validation text."""

from pathlib import Path
from typing import TYPE_CHECKING

from suite.jobs.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Write the table, best settings first."""
    from suite.tables.search import ranking, write_ranking

    params, outputs = snakemake.params, snakemake.output
    ranked = ranking([Path(file) for file in snakemake.input], params.settings)
    write_ranking(ranked, Path(outputs.csv), Path(outputs.markdown), params.note)


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main()

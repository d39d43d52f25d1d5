"""Rule tracking_store: the MLflow store, before any job writes to it."""

from typing import TYPE_CHECKING

from suite.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Create or migrate the store; a store that is down stops nothing."""
    from suite.files import write_json
    from suite.runs import RESULTS
    from suite.tracking.store import default_uri, initialise_store

    uri = default_uri(RESULTS)
    write_json(snakemake.output[0], {"uri": uri, "reachable": initialise_store(uri)})


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main()

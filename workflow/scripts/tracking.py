"""Rule tracking: every job's run in MLflow, complete."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from suite.jobs.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Upload what the store does not have yet."""
    from suite.artifacts.files import write_json
    from suite.tracking.run import RESULTS
    from suite.tracking.store import default_uri, experiment_name
    from suite.tracking.upload import upload_all

    uri = default_uri(RESULTS)
    counts = upload_all(snakemake.input, uri, experiment_name(snakemake.params.run))
    write_json(snakemake.output[0], {"uri": uri, **asdict(counts)})


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main()

"""Fills an MLflow store from the journals of a run's folder, for one copied from another machine.

    PYTHONPATH=.:workflow python -m suite.tracking.fill results/<run>

The store is that of MLFLOW_TRACKING_URI, or `results/mlflow.db`, and the folder's name that of the
experiment. Doing it again sends what is new.
"""

import sys
from pathlib import Path

from suite.tracking.run import RESULTS
from suite.tracking.store import TrackingUnavailable, default_uri, experiment_name
from suite.tracking.upload import upload_all


def fill(folder: Path) -> str:
    """Send the journals of a run's folder; says how many went where.

    Raises ValueError where there are none, and as `upload_all` does.
    """
    journals = sorted((folder / "journals").rglob("*.jsonl"))
    if not journals:
        raise ValueError(f"{folder}/journals has no journals: give a run's folder, results/<run>")
    uri, experiment = default_uri(RESULTS), experiment_name(folder.resolve().name)
    counts = upload_all(journals, uri, experiment)
    there = f"; {counts.complete} were there" if counts.complete else ""
    return f"{counts.sent} runs sent to {uri}, experiment {experiment}{there}"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        print(fill(Path(sys.argv[1])))
    except (TrackingUnavailable, ValueError) as error:
        sys.exit(str(error))

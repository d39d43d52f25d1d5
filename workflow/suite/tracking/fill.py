"""Fills an MLflow store from a run's folder, as one that was copied from another machine.

    PYTHONPATH=.:workflow python -m suite.tracking.fill results/<run>

The store is that of MLFLOW_TRACKING_URI, or `results/mlflow.db`. Doing it again sends what is new.
"""

import sys
from pathlib import Path
from typing import Any

from suite.tracking.store import store_uri
from suite.tracking.upload import upload


def fill(folder: Path) -> dict[str, Any]:
    """Send the grid and all studies. Raises ValueError where there are none, and as `upload`."""
    results = [*folder.glob("results.parquet"), *sorted(folder.glob("studies/*/results.parquet"))]
    if not results:
        raise ValueError(f"{folder} has no results.parquet: give a run's folder, results/<run>")
    return upload(results, folder, folder.resolve().name, store_uri())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        done = fill(Path(sys.argv[1]))
    except ValueError as error:
        sys.exit(str(error))
    print(f"{done['sent']} cells sent, {done['complete']} were there: {done['leaderboard']}")

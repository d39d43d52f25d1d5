"""Upload of a results folder by hand, for example after copying it from another machine.

    PYTHONPATH=.:workflow python -m suite.tracking.fill results/<run>

The store is MLFLOW_TRACKING_URI, or `results/mlflow.db`. A repetition sends only new cells.
"""

import sys
from pathlib import Path

from suite.tracking.store import store_uri
from suite.tracking.upload import upload

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    results = [*folder.glob("results.parquet"), *sorted(folder.glob("studies/*/results.parquet"))]
    if not results:
        sys.exit(f"{folder} has no results.parquet: give a run's folder, results/<run>")
    try:
        done = upload(results, folder, folder.resolve().name, store_uri())
    except ValueError as error:
        sys.exit(str(error))
    print(f"{done['sent']} cells sent, {done['complete']} already complete: {done['leaderboard']}")

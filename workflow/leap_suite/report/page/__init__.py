"""The page of a run, results/<run>/report.html: one file, which needs no network."""

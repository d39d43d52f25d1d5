"""MLflow: one run per cell, with its settings, training curve and scores.

MLflow is a view of the results' frame, the manifests and the training journals: an upload can be
completed or repeated at any time. MLflow takes seconds to import, hence the late imports.
"""

"""MLflow: one run a cell, with its settings, the curve of its training and its scores.

MLflow is a view of the results' frame, the manifests and the trainings' journals, so that an upload
can complete, repair or repeat what was sent before. MLflow takes seconds to import, so that happens
when the store is first used.
"""

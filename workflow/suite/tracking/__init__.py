"""Carries journals (``suite.tracking.journal``) to MLflow.

The journals are the record, and MLflow is a view of them: an upload can always complete, repair or
repeat what was sent before. ``store`` finds and makes the store, ``upload`` sends journals whole,
``live`` sends one as it is written, ``fill`` sends those of a copied folder, ``shown`` says how a
run looks there. MLflow takes seconds to import, so that happens when the store is first used.
"""

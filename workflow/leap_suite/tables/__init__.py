"""From evaluations to tables and verdicts."""

"""Surroundings of a job: log, errors, GPUs, the fork server, provenance of its result."""

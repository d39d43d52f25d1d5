# Resources of jobs, and constraints of wildcards.

import re


def asks(stage, name):
    """A resource of a stage, by the size of its model; more after a failure.

    A training resumes, so that its next attempt needs no longer runtime.
    """
    grows = name == "mem_mb" or (name == "runtime" and stage != "train")

    def of_job(wildcards, attempt):
        own = config["models"][wildcards.model].get("resources", {}).get(stage, {})
        value = {**config["resources"][stage], **own}[name]
        return value * attempt if grows else value

    return of_job


def resources_of(stage):
    """All resources of a stage but its threads."""
    return {name: asks(stage, name) for name in config["resources"][stage] if name != "threads"}


def one_of(names):
    """Constraint of a wildcard: one of these names; without any it matches nothing."""
    return "|".join(map(re.escape, names)) or "(?!)"


def methods_of(*implementations):
    """Constraint of a wildcard: the configured methods with these implementations."""
    return one_of([n for n, known in config["implementations"].items() if known in implementations])

# Parameters of rules. A changed parameter runs a job again.

from functools import cache

from leap_suite.plan import searches, tasks, tokens
from leap_suite.plan.code import fingerprint
from leap_suite.plan.methods import FOLDERS, METHOD_SCHEMAS
from leap_suite.plan.recipe import fingerprint_of, synthetic_note
from leap_suite.tables.published import published_models


def recipe(kind):
    """Recipe of a job's result: `masks`, `selection`, `checkpoint`, `evaluation`, ..."""
    return lambda wildcards: getattr(RECIPES, kind)(Cell.of(wildcards))


@cache
def recipes_of(study):
    """Recipe of every result of a study or of the grid (""), by the path of its cell."""
    made = RECIPES.validation if measure_of(study) == "validation" else RECIPES.evaluation
    return {cell.path: made(cell) for cell in cells_of(study)}


@cache
def recipes_mark(study):
    """Fingerprint of these recipes, which the frames carry."""
    return fingerprint_of(recipes_of(study))


def shown(*modules, data=()):
    """Fingerprint of modules that show results, and of the descriptions of methods."""
    described = [METHOD_SCHEMAS, *FOLDERS.glob("*/schema.yaml")]
    return fingerprint(*(f"leap_suite.{module}" for module in modules), data=[*described, *data])


PUBLISHED = bool(published_models() & set(config["grid"]["models"]))


def told(study, name):
    """What a table, figure or page gets beside the results."""
    section = studies.section(study, config) if study else {}
    return {
        **JUDGED,
        "scale": SCALE,
        "about": config["about"],
        "note": synthetic_note(config),
        "published": PUBLISHED,
        "name": name,
        "study": section,
        "methods": studies.methods_of(study, config) if study else {},
        "points": tokens.points(study, config) if "amounts" in section else {},
        "trials": searches.trials(study, config) if study else {},
    }

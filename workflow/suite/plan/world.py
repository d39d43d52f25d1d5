"""Generated data: the texts and tasks of the miniature world, and the models that they are for.

A miniature knows that world and nothing else, and any other model knows nothing of it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from suite.plan import studies

GENERATED = "mini_"  # how names of generated tasks begin; the rest is whose form they have


def is_generated(task: Mapping[str, Any]) -> bool:
    """Whether a task is one of the miniature world's."""
    return task["task"].startswith(GENERATED)


def has_generated_tasks(settings: Mapping[str, Any]) -> bool:
    """Whether a task of the evaluation is one of the miniature world's."""
    return any(map(is_generated, settings["evaluation"]["tasks"].values()))


def problems(settings: Mapping[str, Any]) -> list[str]:
    """Tasks, texts and models that do not belong together, one line each.

    Where one check finds something, those after it are not made.
    """
    tasks = settings["evaluation"]["tasks"]
    return (
        [*_misnamed(tasks)]
        or [*_mixed(tasks)]
        or [*_unsuited(settings)]
        or [*_of_other_data(tasks)]
    )


def _misnamed(tasks: Mapping[str, Any]) -> Iterator[str]:
    """Generated tasks whose scores would stand under the name of another."""
    for name, task in tasks.items():
        form = task["task"].removeprefix(GENERATED)
        if is_generated(task) and not name.startswith(form):
            yield (
                f"evaluation.tasks.{name}.task: {task['task']} would stand under the name {name}: "
                f"write {GENERATED}{name}, or call it {form}"
            )


def _mixed(tasks: Mapping[str, Any]) -> Iterator[str]:
    """Tasks of the kind that fewer are of."""
    generated = [name for name, task in tasks.items() if is_generated(task)]
    real = [name for name in tasks if name not in generated]
    for name in min(real, generated, key=len):
        kinds = ("generated", "real") if name in generated else ("real", "generated")
        yield (
            f"evaluation.tasks.{name}.task: {tasks[name]['task']} is a {kinds[0]} task among "
            f"{kinds[1]} ones, which cannot be mixed: leave out one kind (`{name}: null`)"
        )


def _unsuited(settings: Mapping[str, Any]) -> Iterator[str]:
    """Miniatures with real tasks, and other models with generated tasks or texts."""
    miniatures = {n for n, model in settings["models"].items() if "miniature" in model["source"]}
    generated = [
        f"corpora.{name}.text"
        for name, corpus in settings["corpora"].items()
        if "miniature" in corpus["text"]
    ]
    if has_generated_tasks(settings):
        generated.append("evaluation.tasks")
    else:
        # the studies of a scale may keep its miniatures, whatever the grid has
        yield from (
            f"grid.models: {name} is a miniature and knows nothing that the real tasks of "
            "evaluation.tasks ask: run it at scale mini, with generated ones"
            for name in settings["grid"]["models"]
            if name in miniatures
        )
    named: dict[str, str] = {}
    for place, values in studies.sections(settings).items():
        for name in values["models"]:
            named.setdefault(name, place)
    for name, place in named.items():
        if generated and name not in miniatures:
            yield (
                f"{place}.models: {name} is not a miniature, and only miniatures know the "
                f"generated data of {', '.join(generated)}: run it at scale own (or claim, with "
                "all methods), or set real data"
            )


def _of_other_data(tasks: Mapping[str, Any]) -> Iterator[str]:
    """Tasks with the data of another, or of the other kind."""
    for name, task in tasks.items():
        place, asked, dataset = f"evaluation.tasks.{name}.dataset", task["task"], task["dataset"]
        if is_generated(task) and dataset != asked:
            yield f"{place}: {dataset} is not the data of {asked}: write {asked}"
        elif not is_generated(task) and dataset.startswith(GENERATED):
            yield (
                f"{place}: {dataset} is generated, but {asked} a real task: write the name of its "
                "data set on the hub, as scale laptop does"
            )

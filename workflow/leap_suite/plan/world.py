"""Generated data in the settings: texts and tasks of the miniature world, only for miniatures."""

from collections.abc import Iterator, Mapping
from typing import Any

from leap_suite.plan import studies

GENERATED = "mini_"  # prefix of generated tasks, before the name of the task that they imitate


def is_generated(task: Mapping[str, Any]) -> bool:
    """Whether a task is one of the miniature world's."""
    return task["task"].startswith(GENERATED)


def has_generated_tasks(settings: Mapping[str, Any]) -> bool:
    """Whether the evaluation has tasks of the miniature world."""
    return any(map(is_generated, settings["evaluation"]["tasks"].values()))


def problems(settings: Mapping[str, Any]) -> list[str]:
    """Tasks, texts and models that do not belong together; of three checks the first that fails."""
    tasks = settings["evaluation"]["tasks"]
    return [*_misnamed(tasks)] or [*_mixed(tasks)] or [*_unsuited(settings)]


def _misnamed(tasks: Mapping[str, Any]) -> Iterator[str]:
    """Generated tasks with the name or data of another, and real tasks with generated data."""
    for name, task in tasks.items():
        place, asked, dataset = f"evaluation.tasks.{name}", task["task"], task["dataset"]
        form = asked.removeprefix(GENERATED)
        if is_generated(task) and not name.startswith(form):
            yield f"{place}.task: {asked} is not {name}: write {GENERATED}{name}, or call it {form}"
        elif is_generated(task) and dataset != asked:
            yield f"{place}.dataset: {dataset} is not the data of {asked}: write {asked}"
        elif not is_generated(task) and dataset.startswith(GENERATED):
            yield (
                f"{place}.dataset: {dataset} is generated, but {asked} is a real task: write the "
                "name of its data set on the hub, as scale laptop does"
            )


def _mixed(tasks: Mapping[str, Any]) -> Iterator[str]:
    """Generated tasks among real ones, or real tasks among generated ones, whichever are fewer."""
    generated = [name for name, task in tasks.items() if is_generated(task)]
    real = [name for name in tasks if name not in generated]
    few, many = ("real", "generated") if len(real) <= len(generated) else ("generated", "real")
    for name in min(real, generated, key=len):
        yield (
            f"evaluation.tasks.{name}.task: {tasks[name]['task']} is a {few} task among {many} "
            f"ones: leave out one kind (`{name}: null`)"
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
        # studies may have miniatures beside a grid of real models
        yield from (
            f"grid.models: {name} is a miniature and knows nothing of the real tasks in "
            "evaluation.tasks: run it at scale mini, with generated ones"
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

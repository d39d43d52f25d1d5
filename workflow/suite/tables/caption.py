"""Phrases of captions on the evaluated tasks."""

from suite.plan.metrics import DEFAULT
from suite.results.frame import Results, Task

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def counted(results: Results) -> str:
    """Tasks that the average is over, such as "the six tasks"."""
    titles = [task.title for task in results.tasks if task.averaged]
    number = _NUMBERS[len(titles)] if len(titles) < len(_NUMBERS) else str(len(titles))
    if len(titles) == len(results.tasks):
        return f"the {number} tasks" if len(titles) > 1 else "the task"
    return f"the {number} tasks that count ({', '.join(titles)})"


def mean_accuracy(results: Results) -> str:
    """Definition of the average."""
    zero = "" if any(task.fewshot for task in results.tasks) else "zero-shot "
    return f"the plain mean of {counted(results)}' {zero}accuracies"


def measured(results: Results) -> str:
    """Definition of the task columns, with every metric but `acc`, and numbers of shots."""
    others = [f"{task.title} {how}" for task in results.tasks if (how := _how(task))]
    zero = "Accuracy" if any(task.fewshot for task in results.tasks) else "Zero-shot accuracy"
    of = f"; {', '.join(others)}" if others else ""
    return f"{zero} (lm-evaluation-harness `acc`, in percent, higher is better{of})"


def _how(task: Task) -> str:
    """Metric and shots of a task that is not zero-shot accuracy."""
    metric = "" if task.metric == DEFAULT else f"`{task.metric}`"
    return " ".join(filter(None, [metric, f"{task.fewshot}-shot" if task.fewshot else ""]))

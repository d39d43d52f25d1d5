"""What captions say of the tasks that were asked."""

from suite.plan.metrics import DEFAULT
from suite.results.frame import Results, Task

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def counted(results: Results) -> str:
    """The tasks that the average is over: "the six tasks"."""
    averaged = sum(task.averaged for task in results.tasks)
    number = _NUMBERS[averaged] if averaged < len(_NUMBERS) else str(averaged)
    if averaged == len(results.tasks):
        return f"the {number} tasks" if averaged > 1 else "the task"
    return f"the {number} tasks that count ({', '.join(_counting(results))})"


def mean_accuracy(results: Results) -> str:
    """What the average is."""
    zero = "" if any(task.fewshot for task in results.tasks) else "zero-shot "
    return f"the plain mean of {counted(results)}' {zero}accuracies"


def measured(results: Results) -> str:
    """What the columns of tasks are, with every metric but `acc`, and examples where there are."""
    others = [f"{task.title} {how}" for task in results.tasks if (how := _how(task))]
    zero = "Accuracy" if any(task.fewshot for task in results.tasks) else "Zero-shot accuracy"
    of = f"; {', '.join(others)}" if others else ""
    return f"{zero} (lm-evaluation-harness `acc`, in percent, higher is better{of})"


def _counting(results: Results) -> list[str]:
    return [task.title for task in results.tasks if task.averaged]


def _how(task: Task) -> str:
    """In what a task differs from accuracy without examples."""
    metric = "" if task.metric == DEFAULT else f"`{task.metric}`"
    return " ".join(filter(None, [metric, f"{task.fewshot}-shot" if task.fewshot else ""]))

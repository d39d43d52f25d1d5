"""Progress of a training, in the terminal or in a notebook."""

from collections.abc import Callable

from tqdm.auto import tqdm

from leap.distributed import parallel


def progress_bar(steps: int) -> Callable[[int, dict[str, float]], None]:
    """A bar as `report` of a training: steps done, time left and the last LM loss."""
    bar = tqdm(total=steps, unit="step", disable=parallel.rank() > 0)

    def report(step: int, values: dict[str, float]) -> None:
        bar.set_postfix(lm_loss=f"{values['lm_loss']:.3f}", refresh=False)
        bar.update(step + 1 - bar.n)
        if step + 1 == steps:
            bar.close()

    return report

"""The rules miniature_world and miniature_checkpoint: texts and tasks, and a model of them."""

from pathlib import Path
from typing import TYPE_CHECKING

from suite.jobs.job import job, progress, use_threads

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Write the world's folder, or train a miniature from scratch and write its checkpoint's."""
    target = Path(snakemake.output[0])
    if snakemake.rule == "miniature_world":
        from suite.miniature.dataset import write_world

        write_world(target.parent)
    else:
        from suite.miniature.training import retrain

        retrain(target.name, target.parent, lambda steps: progress(steps, "steps"))


if __name__ == "__main__":
    use_threads(1)
    with job(snakemake.log[0]):
        main()

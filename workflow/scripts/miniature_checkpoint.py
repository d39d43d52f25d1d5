"""Rule miniature_checkpoint: one miniature, trained from scratch."""

from pathlib import Path
from typing import TYPE_CHECKING

from suite.jobs.job import job, progress, use_threads

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main() -> None:
    """Train and write the checkpoint's folder."""
    from suite.miniature.training import retrain

    target = Path(snakemake.output[0])
    retrain(target.name, target.parent, lambda steps: progress(steps, "steps"))


if __name__ == "__main__":
    use_threads(1)
    with job(snakemake.log[0]):
        main()

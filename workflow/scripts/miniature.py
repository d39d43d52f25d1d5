"""The rules miniature_world and miniature_checkpoint: texts and tasks, and a model of them."""

from pathlib import Path

from suite.jobs.job import job, progress, use_threads


def main() -> None:
    """Write the world's folder, or train a miniature from scratch and write its checkpoint's."""
    target = Path(snakemake.output[0])
    if snakemake.output.get("index"):
        from suite.miniature.dataset import write_world

        write_world(target.parent)
    else:
        from suite.miniature.training import retrain

        retrain(target.name, target.parent, lambda steps: progress(steps, "steps"))


if __name__ == "__main__":
    use_threads(1)
    with job(snakemake.log[0]):
        main()

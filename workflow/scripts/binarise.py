"""Rule binarise: the mask of one trained cell."""

from pathlib import Path

from suite.jobs.job import job, use_threads


def main() -> None:
    """Choose the weights that survive by their logits."""
    from suite.stages.binarise import binarise

    inputs, params = snakemake.input, snakemake.params
    sparse = Path(inputs.sparse_masks) if inputs.get("sparse_masks") else None
    files = Path(inputs.logits), Path(inputs.report), sparse
    binarise(*files, params.implementation, params.recipe, snakemake.output)


if __name__ == "__main__":
    use_threads(snakemake.threads)
    with job(snakemake.log[0]):
        main()

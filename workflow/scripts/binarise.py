"""Rule binarise: the mask of one trained cell."""

from pathlib import Path

from leap_suite.jobs.script import job_of

if __name__ == "__main__":
    with job_of(snakemake):
        from leap_suite.stages.binarise import binarise

        inputs, params = snakemake.input, snakemake.params
        sparse = Path(inputs.sparse_masks) if inputs.get("sparse_masks") else None
        files = Path(inputs.logits), Path(inputs.report), sparse
        binarise(*files, params.implementation, params.recipe, snakemake.output)

"""Rule validate: perplexity of one checkpoint on the validation corpus."""

from pathlib import Path

from leap_suite.jobs.script import job_of

if __name__ == "__main__":
    with job_of(snakemake):
        from leap_suite.plan.cell import Cell
        from leap_suite.stages.models import intact_checkpoint
        from leap_suite.stages.validate import validate

        inputs = snakemake.input
        model = Path(inputs.model).parent
        validate(
            model,
            Path(inputs.hardened[0]).parent if inputs.hardened else intact_checkpoint(model),
            Path(inputs.validation),
            Cell.of(snakemake.wildcards),
            snakemake.params.recipe,
            Path(snakemake.output[0]),
        )

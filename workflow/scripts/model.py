"""Rule model: the dense checkpoint of one model."""

from pathlib import Path

from leap_suite.jobs.script import job_of

if __name__ == "__main__":
    with job_of(snakemake):
        from leap_suite.stages.models import prepare
        from leap_suite.stages.zeros import warn_of_zeros

        folder, name = Path(snakemake.output[0]).parent, snakemake.wildcards.model
        prepare(snakemake.params.recipe, folder)
        warn_of_zeros(folder, name)
        if snakemake.params.text:
            from leap_suite.sources.texts import documents
            from leap_suite.stages import bos

            way_on = f"say which, as in --config 'models={{{name}: {{bos: true}}}}'"
            bos.check(folder, documents(snakemake.params.text), way_on)

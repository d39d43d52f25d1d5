"""Rule collect: all results of a grid or study in two files, checked once."""

from pathlib import Path

from leap_suite.jobs.script import job_of

if __name__ == "__main__":
    with job_of(snakemake):
        from leap_suite.plan.recipe import fingerprint_of
        from leap_suite.results.collect import Files, Shown, collect, collect_validations
        from leap_suite.results.frame import write
        from leap_suite.results.mixed import refuse_if_strict

        params, inputs = snakemake.params, snakemake.input
        shown = Shown(params.tasks, params.patterns)
        results = [Path(file) for file in inputs.results]
        if params.measure == "validation":
            found = collect_validations(
                dict(zip(params.recipes, results, strict=True)), shown, params.recipes
            )
        else:
            answers, manifests = (
                [Path(f) for f in files] for files in (inputs.answers, inputs.manifests)
            )
            pruned = dict(zip(params.pruned, manifests, strict=True))
            files = {
                path: Files(result, items, pruned.get(path))
                for path, result, items in zip(params.recipes, results, answers, strict=True)
            }
            found = collect(files, shown, params.recipes)
            refuse_if_strict(found.cells)
        frame, items = (Path(file) for file in snakemake.output)
        write(found, frame, items, fingerprint_of(params.recipes))

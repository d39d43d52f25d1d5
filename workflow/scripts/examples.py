"""Rules examples and study_examples: tables and figures tracked in the repository."""

from pathlib import Path

from leap_suite.jobs.script import job_of

if __name__ == "__main__":
    with job_of(snakemake):
        from leap_suite.report.examples import write_examples
        from leap_suite.results.frame import read

        inputs, params = snakemake.input, snakemake.params
        results = read(Path(inputs.frame), Path(inputs.answers))
        files, target = [Path(file) for file in inputs.files], Path(snakemake.output[0])
        root, kept = Path(params.results), [Path(file) for file in inputs.get("kept", [])]
        write_examples(params.scale, params.made_by, results, files, target, root, kept)

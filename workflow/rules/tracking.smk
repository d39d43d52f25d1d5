# MLflow: the runs of all jobs, made or completed from the jobs' journals; of the grid, or a study.


def journals(wildcards):
    """The journal of every job of prune, train, harden and evaluate."""
    found = CELLS if wildcards.cells == "grid" else studies.cells_of(wildcards.cells, config)
    return [
        f"{RESULTS}/journals/{stage}/{cell.path}.jsonl"
        for cell in found
        for stage in studies.recorded_stages(cell, cell.method in TRAINED)
    ]


rule tracking:
    localrule: True
    input:
        journals,
    output:
        f"{RESULTS}/tracking/{{cells}}.json",
    log:
        f"{RESULTS}/logs/tracking/{{cells}}.log",
    wildcard_constraints:
        cells=one_of(["grid", *studies.STUDIES]),
    conda:
        "../../envs/suite.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        run=RUN,
    message:
        "Completing the runs in MLflow"
    script:
        "../scripts/tracking.py"

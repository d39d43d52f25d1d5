# MLflow: the runs of all jobs, made or completed from the jobs' journals; of the grid, or a study.


rule tracking:
    input:
        journals,
    output:
        f"{RESULTS}/tracking/{{cells}}.json",
    log:
        f"{RESULTS}/logs/tracking/{{cells}}.log",
    wildcard_constraints:
        cells=one_of(["grid", *STUDIES]),
    localrule: True
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

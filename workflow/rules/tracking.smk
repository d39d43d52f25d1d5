# MLflow: one run for every cell of the grid or of a study.


rule tracking:
    input:
        unpack(tracked),
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
        "Sending {wildcards.cells} to MLflow"
    script:
        "../scripts/tracking.py"

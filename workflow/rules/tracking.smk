# MLflow: the runs of all jobs, made or completed from the jobs' journals.


rule tracking:
    input:
        journals,
    output:
        f"{RESULTS}/tracking/uploaded.json",
    log:
        f"{RESULTS}/logs/tracking.log",
    conda:
        "../../envs/suite.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        scale=SCALE,
    message:
        "Completing the runs in MLflow"
    script:
        "../scripts/tracking.py"

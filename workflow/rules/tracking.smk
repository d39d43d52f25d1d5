# MLflow: the store is made before any job writes to it, and completed from the jobs' journals.


rule tracking_store:
    output:
        f"{RESULTS}/tracking/store.json",
    log:
        f"{RESULTS}/logs/tracking_store.log",
    conda:
        "../../envs/suite.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    message:
        "Preparing the MLflow store"
    script:
        "../scripts/tracking_store.py"


rule tracking:
    input:
        store=ancient(rules.tracking_store.output),
        journals=journals,
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

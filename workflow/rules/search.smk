# `snakemake --cores all search`: settings compared by the perplexity of validation text, which is
# neither trained on nor reported. The tasks are not looked at.


rule validate:
    input:
        model=f"{RESULTS}/models/{{model}}",
        hardened=checkpoint_inputs,
        validation=f"{RESULTS}/corpora/{{model}}/validation.safetensors",
    output:
        f"{RESULTS}/validation/{{model}}/{{method}}/{{sparsity}}{{seed}}.json",
    log:
        f"{RESULTS}/logs/validate/{{model}}/{{method}}/{{sparsity}}{{seed}}.log",
    conda:
        "../../envs/suite.yaml"
    threads: config["resources"]["evaluate"]["threads"]
    resources:
        mem_mb=config["resources"]["evaluate"]["mem_mb"],
        runtime=config["resources"]["evaluate"]["runtime"],
        gpu=config["resources"]["evaluate"]["gpu"],
    params:
        cell=cell_of,
        batch=config["evaluation"]["perplexity_batch"],
    message:
        "Validating {wildcards.model}, {wildcards.method} at {wildcards.sparsity}"
    script:
        "../scripts/validate.py"


rule search:
    input:
        study_inputs("search", "validation"),
    output:
        csv=f"{RESULTS}/tables/search.csv",
        markdown=f"{RESULTS}/tables/search.md",
    log:
        f"{RESULTS}/logs/search.log",
    conda:
        "../../envs/suite.yaml"
    params:
        settings=lambda wildcards: {
            method: config["methods"][method] for method in study_methods(config, "search")
        },
    message:
        "Comparing settings on validation text"
    script:
        "../scripts/search.py"

# `snakemake --cores 1 documents`: the rows of the Hub that corpora are read from, with hashes.


rule documents:
    output:
        f"{RESULTS}/documents.csv.gz",
    log:
        f"{RESULTS}/logs/documents.log",
    localrule: True
    conda:
        "../../envs/suite.yaml"
    params:
        corpora=config["corpora"],
    message:
        "Listing the documents of all corpora"
    script:
        "../scripts/documents.py"

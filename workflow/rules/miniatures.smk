# `snakemake --cores all miniatures`: train the miniatures, into results/miniatures. Their
# checkpoints are tracked, so that no other target needs this.

from leap_suite.plan.config import MINIATURES

TRACKED = sorted(file.parent.name for file in MINIATURES.glob("*/recipe.json"))


rule miniatures:
    input:
        expand("results/miniatures/{miniature}", miniature=TRACKED),
    localrule: True


rule miniature_checkpoint:
    output:
        directory("results/miniatures/{miniature}"),
    log:
        "results/logs/miniatures/{miniature}.log",
    wildcard_constraints:
        miniature="|".join(TRACKED),
    conda:
        "../../envs/suite.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    message:
        "Training {wildcards.miniature} from scratch"
    script:
        "../scripts/miniature.py"

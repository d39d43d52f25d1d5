"""`leap-suite`: one model pruned or evaluated by the suite's stages, without Snakemake."""

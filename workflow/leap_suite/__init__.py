"""Library shared by the stages of the benchmark; it never imports Snakemake."""

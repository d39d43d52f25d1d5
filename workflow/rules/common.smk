# What the rules of several stages share.


def cell_of(wildcards):
    """What identifies the cell of a job, for its manifest, evaluation and run."""
    return {
        "scale": SCALE,
        "model": wildcards.model,
        "method": wildcards.method,
        "sparsity": wildcards.sparsity,
        "seed": int(wildcards.seed.removeprefix("/seed-") or 0),
    }

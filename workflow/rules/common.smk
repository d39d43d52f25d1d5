# Functions of wildcards that give rules their inputs and parameters.


def cell_of(wildcards):
    """What identifies the cell of a job, for its manifest, evaluation and run."""
    return {
        "scale": SCALE,
        "model": wildcards.model,
        "method": wildcards.method,
        "sparsity": wildcards.sparsity,
        "seed": int(wildcards.seed.rpartition("-")[2] or 0),
    }


def text_setting(wildcards):
    """The corpus' text, with the miniature world's texts as files."""
    text = config["corpora"][wildcards.corpus]["text"]
    if "miniature" in text:
        return {"file": f"{RESULTS}/world/text/{text['miniature']}.jsonl"}
    return text


def text_inputs(wildcards):
    """The miniature world's folder, for corpora whose text comes from it."""
    text = config["corpora"][wildcards.corpus]["text"]
    return f"{RESULTS}/world" if "miniature" in text else []


def checkpoint_inputs(wildcards):
    """The hardened checkpoint; none for dense, which is read from the model's own folder."""
    if wildcards.method == DENSE:
        return []
    folder = f"{RESULTS}/hardened/{wildcards.model}/{wildcards.method}/{wildcards.sparsity}"
    names = ("manifest.json", "config.json", "model.safetensors", "mask.safetensors")
    return [f"{folder}{wildcards.seed}/{name}" for name in names]


def task_inputs(wildcards):
    """The miniature world, where the tasks are its tasks."""
    miniature = any(
        task["task"].startswith("mini_") for task in config["evaluation"]["tasks"].values()
    )
    return f"{RESULTS}/world" if miniature else []


def journals(wildcards):
    """The journal of every job of prune, harden and evaluate."""
    return [
        f"{RESULTS}/journals/{stage}/{cell.path}.jsonl"
        for cell in CELLS
        for stage in (["evaluate"] if cell.method == DENSE else ["prune", "harden", "evaluate"])
    ]

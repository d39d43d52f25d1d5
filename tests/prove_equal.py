"""Prove that HEAD computes the same bits as an older commit, and record its fingerprints as equal.

    python -m tests.prove_equal COMMIT [METHOD ...]

Both commits run two miniatures with every method of `SETTINGS` but the METHODs named, which
are known to differ, in checkouts of their own. Where all corpora, masks, weights, logits, answers
and scores are the same bits, the fingerprints that differ are appended to
workflow/leap_suite/plan/equal_code.yaml, so that results of the old code stay valid.
"""

import gzip
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from safetensors import deserialize

from leap_suite.plan.code import PROOFS

ROOT = Path(__file__).parents[1]
RUN = "proof"
TRAINING = {"steps": 12, "batch": 8, "sequences_per_draw": 8, "learning_rate": 0.005}
MINIATURE_TEXT = {"packing": "stream", "sequences": 8, "length": 128}
SETTINGS: dict[str, Any] = {
    "scale": "smoke",
    "run": RUN,
    "models": {
        "mini-gemma-3-1b": {
            "source": {"miniature": "mini-gemma-3-1b"}, "dtype": "float32", "bos": True,
        },
    },
    "grid": {
        # with BOS and a sliding window, and without
        "models": ["mini-gemma-3-1b", "mini-qwen-2.5-0.5b"],
        "methods": [
            "random-mask", "magnitude", "wanda", "wanda-2-4", "wanda-owl", "sparsegpt", "thanos",
            "admm", "admm-cubic", "alps", "reconstruct", "leap-reconstruct", "leap", "maskllm",
            "patch", "elsa", "gmp", "finetune", "finetune-distil", "admm-finetune", "leap-finetune",
        ],
    },
    "methods": {
        "wanda-owl": {"like": "wanda", "allocation": "owl"},
        "admm-finetune": {"like": "finetune", "mask_from": "admm"},
        "wanda-2-4": {"like": "wanda", "budget": "2:4"},
        "maskllm": {"preset": "maskllm", "pattern": "2:4", "warm_start": "wanda-2-4", **TRAINING},
        "patch": {
            "preset": "patch", "pattern": "2:4", "mode": "joint", "tile": 16,
            "warm_start": "wanda", "sparse_masks": "wanda-2-4", **TRAINING,
        },
    },
    "corpora": {
        "validation": {"text": {"miniature": "validation"}, **MINIATURE_TEXT},
        "in_domain": {"text": {"miniature": "validation"}, **MINIATURE_TEXT},
    },
    "evaluation": {"divergence": True},
}  # fmt: skip
# of evaluations and validations
SCORES = (
    "achieved_sparsity", "tasks", "perplexity", "in_domain", "divergence", "in_domain_divergence",
)  # fmt: skip
VALIDATED = f"results/{RUN}/validation/mini-gemma-3-1b/leap/0.5.json"

# Run in a checkout: the fingerprints in every recipe of every scale, by scale, cell and key.
LIST_CODE = """
import json, sys
from PACKAGE.plan import code, studies
from PACKAGE.plan.config import SCALES, load
from PACKAGE.plan.grid import cells
from PACKAGE.plan.methods import lent_by
from PACKAGE.plan.recipe import Recipes

without_proofs, compared = json.loads(sys.argv[1])
if without_proofs:
    code._proven = dict

def flat(values, prefix):
    for key, value in values.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}.{key}")
        elif key == "code":
            yield f"{prefix}.{key}", value

found = {}
for scale in sorted(file.stem for file in SCALES.glob("*.yaml")):
    settings = load({"scale": scale, "hub_mirror": ""})
    recipes, validated = Recipes(settings), "validation" in settings["corpora"]
    for cell in studies.all_cells(settings):
        names = lent_by([cell.method], settings) if cell.method != "dense" else []
        if {settings["implementations"][name] for name in names} <= set(compared):
            found.update(flat(recipes.evaluation(cell), f"{scale}/{cell.path}: evaluation"))
            if validated and cell.method != "dense":
                found.update(flat(recipes.validation(cell), f"{scale}/{cell.path}: validation"))
print(json.dumps(found))
"""


def main(before: str, *excluded: str) -> None:
    """Run, compare, record."""
    if git("status", "--porcelain"):
        sys.exit("there are changes that are not committed: what is proven would be no commit")
    commits = [git("rev-parse", commit) for commit in (before, "HEAD")]
    with tempfile.TemporaryDirectory() as temporary:
        places = [checkout(commit, Path(temporary)) for commit in commits]
        try:
            record(commits, places, set(excluded))
        finally:
            for place in places:
                git("worktree", "remove", "--force", str(place))


def record(commits: list[str], places: list[Path], excluded: set[str]) -> None:
    """Append the fingerprints that are proven equal; exit with what differs otherwise."""
    settings = {**SETTINGS, "grid": {**SETTINGS["grid"]}}
    settings["grid"]["methods"] = [m for m in SETTINGS["grid"]["methods"] if m not in excluded]
    compared = implementations(settings)
    old, new = (results(run(place, settings)) for place in places)
    different = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    if different:
        sys.exit("\n".join(["these results are not the same bits:", *different]))
    before, after = (
        fingerprints(place, compared, without_proofs)
        for place, without_proofs in zip(places, (False, True), strict=True)
    )
    pairs = {(after[key], before[key]) for key in before.keys() & after.keys()}
    same_bits = {new: old for new, old in sorted(pairs) if new != old}
    if len(same_bits) < sum(new != old for new, old in pairs):
        sys.exit("code that was two different ones is one now, so its results cannot be told apart")
    kinds = [key.partition("/")[0] for key in old]
    counts = ", ".join(f"{kinds.count(kind)} in {kind}" for kind in dict.fromkeys(kinds))
    proof = {
        "before": commits[0],
        "after": commits[1],
        "compared": f"{counts}; {platform.machine()}, float32, torch {version('torch')}",
        "without": sorted(excluded),
        "same_bits": same_bits,
    }
    if same_bits:
        with open(PROOFS, "a", encoding="utf-8") as file:
            file.write(yaml.safe_dump([proof], sort_keys=False, width=100))
    print(f"{len(old)} results are the same bits; {len(same_bits)} fingerprints recorded as equal")


def git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def checkout(commit: str, folder: Path) -> Path:
    """A worktree of the commit."""
    place = folder / commit[:12]
    git("worktree", "add", "--detach", str(place), commit)
    return place


def run(place: Path, settings: dict[str, Any]) -> Path:
    """The results of these settings with the code of a checkout."""
    (place / "settings.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    tables = f"results/{RUN}/tables/main.csv"
    command = [sys.executable, "-m", "snakemake", "--cores", "all", tables, VALIDATED]
    subprocess.run([*command, "--configfile", "settings.yaml"], cwd=place, check=True)
    return place / "results" / RUN


def results(folder: Path) -> dict[str, str]:
    """Hashes of all that was computed, without metadata, by the file's place."""
    found = {}
    for kind in ("corpora", "pruned", "hardened", "items", "evaluations", "validation"):
        for file in sorted((folder / kind).rglob("*.*")):
            if content := computed(file):
                found[str(file.relative_to(folder))] = hashlib.sha256(content).hexdigest()
    return found


def computed(file: Path) -> bytes:
    """The part of a file that is a result; nothing of reports, tokenizers and configurations."""
    if file.suffix == ".safetensors":
        tensors = sorted(deserialize(file.read_bytes()))
        return b"".join(f"{n}{t['dtype']}{t['shape']}".encode() + t["data"] for n, t in tensors)
    if file.suffix == ".gz":  # of items: older code has none of normalised accuracy
        lines = gzip.decompress(file.read_bytes()).splitlines()
        return b"\n".join(line for line in lines if not line.split(b",")[0].endswith(b"_norm"))
    if file.suffix == ".json" and {"evaluations", "validation"} & set(file.parts):
        scores = json.loads(file.read_text())
        return json.dumps({key: scores.get(key) for key in SCORES}, sort_keys=True).encode()
    return b""


def implementations(settings: dict[str, Any]) -> list[str]:
    """The methods that were run, without variants."""
    from leap_suite.plan.config import load

    loaded = load({"hub_mirror": "", **settings})
    return sorted({loaded["implementations"][name] for name in loaded["grid"]["methods"]})


def fingerprints(place: Path, compared: list[str], without_proofs: bool) -> dict[str, str]:
    """The code in recipes of cells of the compared methods, by scale, cell and key."""
    environment = {**os.environ, "PYTHONPATH": f"{place}:{place}/workflow"}
    given = json.dumps([without_proofs, compared])
    # the suite's package was called `suite` at first
    package = "leap_suite" if (place / "workflow/leap_suite").is_dir() else "suite"
    command = [sys.executable, "-c", LIST_CODE.replace("PACKAGE", package), given]
    process = subprocess.run(
        command, cwd=place, env=environment, check=True, capture_output=True, text=True
    )
    found: dict[str, str] = json.loads(process.stdout)
    return found


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(*sys.argv[1:])

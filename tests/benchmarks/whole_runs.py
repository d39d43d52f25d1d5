"""Seconds of a whole run of a scale: at another commit, and as it is checked out.

    python tests/benchmarks/whole_runs.py --before aa8b6c9 [--scale mini --repeats 1 --models A,B]

With `--models` only these of the scale's families. Both run in fresh clones, in turns, with this
environment and two cores. The commit of the working tree's HEAD is the one that is compared; what
is not committed is not measured.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def main() -> None:
    """Run both in turns and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--before", required=True, help="the commit to compare with")
    parser.add_argument("--scale", default="smoke")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--models", default="", help="names, separated by commas (default: all)")
    options = parser.parse_args()
    commits = [options.before, "HEAD"]
    found: dict[str, list[float]] = {commit: [] for commit in commits}
    for _ in range(options.repeats):
        for commit in commits:
            found[commit].append(run(commit, options.scale, options.models))
            print(f"{commit}: {found[commit][-1]:.0f} s", file=sys.stderr)
    before, after = (statistics.median(found[commit]) for commit in commits)
    print(f"| scale {options.scale} {options.models} | seconds |\n|---|---:|")
    print(f"| {options.before} | {before:.1f} |\n| HEAD | {after:.1f} |")
    print(f"| HEAD / {options.before} | {after / before:.2f} |")


def run(commit: str, scale: str, models: str) -> float:
    """Wall seconds of one run in a fresh clone at this commit."""
    settings = [f"scale={scale}", *([f"grid={{models: [{models}]}}"] if models else [])]
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder, "suite")
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        subprocess.run(["git", "-C", str(clone), "checkout", "--quiet", commit], check=True)
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", "2", "--config", *settings],
            cwd=clone, env=environment, check=True, capture_output=True,
        )  # fmt: skip
        return time.perf_counter() - start


if __name__ == "__main__":
    main()

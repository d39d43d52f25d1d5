"""Seconds of the six tasks: lm-eval's own HFLM, and the suite's model that shares contexts.

    python tests/benchmarks/evaluation.py --model DIR --mirror DIR [--share 0.05] [--vocabulary N]

`--model` is a folder that the rule `model` made (with model.json), `--mirror` one that `prefetch`
made. Each variant (HFLM or ours, in float32 or bfloat16) runs in a process of its own, with two
threads, on the first items of the claim's limits times `--share`. `--vocabulary` gives the model
random embeddings of so many tokens, as Gemma has; what it answers is then nonsense, its time isn't.
"""

import argparse
import json
import time
from typing import Any

from processes import in_process

THREADS = 2
# items of a claim that 0.5 points can be seen by; of every subject for MMLU
ITEMS = {"piqa": 1000, "arc_easy": 1000, "arc_challenge": 1172, "winogrande": 1267,
         "openbookqa": 500, "mmlu": 10}  # fmt: skip
VARIANTS = ("HFLM float32", "HFLM bfloat16", "ours float32", "ours bfloat16")


def main() -> None:
    """Run all variants and print the tables; with `--variant` run one, print JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", required=True, help="a model's folder, with model.json")
    parser.add_argument("--mirror", required=True, help="offline mirror of the tasks")
    parser.add_argument("--share", type=float, default=0.05, help="of the claim's items")
    parser.add_argument("--vocabulary", type=int, default=0, help="random embeddings of this size")
    parser.add_argument("--variant", choices=VARIANTS, help="run this one only, in this process")
    options = parser.parse_args()
    if options.variant:
        print(json.dumps(measure(options)))
        return
    place = {"HUB_MIRROR": options.mirror, "HF_HUB_OFFLINE": "1"}
    found = {v: in_process(__file__, options, v, THREADS, **place) for v in VARIANTS}
    print("| variant | " + " | ".join(ITEMS) + " | all | HFLM / this | peak GB |")
    print("|---|" + "---:|" * (len(ITEMS) + 3))
    for variant, run in found.items():
        cells = [f"{run[task]:.1f}" for task in (*ITEMS, "all")]
        ratio = found[f"HFLM {variant.split()[1]}"]["all"] / run["all"]
        print(f"| {variant} | {' | '.join(cells)} | {ratio:.2f} | {run['peak'] / 1e9:.2f} |")


class Clock:
    """Seconds in a model's log-likelihoods, without the making of tasks that all variants share."""

    def __init__(self, lm: Any) -> None:
        self.seconds = 0.0
        self.plain = lm.loglikelihood
        lm.loglikelihood = self

    def __call__(self, requests: Any, **options: Any) -> Any:
        start = time.perf_counter()
        replies = self.plain(requests, **options)
        self.seconds += time.perf_counter() - start
        return replies


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Seconds of every task and of all, and the peak memory in bytes."""
    import logging
    import resource

    import torch
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM

    from leap_suite.plan.config import load
    from leap_suite.sources.tasks import build, leaves, task_manager
    from leap_suite.stages import models
    from leap_suite.stages.packed import PackedLM

    torch.set_num_threads(THREADS)
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    kind, dtype = options.variant.split()
    model = models.load_model(options.model, dtype, "cpu")
    if options.vocabulary:
        torch.manual_seed(0)
        model.resize_token_embeddings(options.vocabulary)
    tokenizer = models.load_tokenizer(options.model)
    bos = models.describe(options.model)["bos"]
    given = {"tokenizer": tokenizer, "add_bos_token": bos}
    lm = (
        HFLM(pretrained=model, batch_size=16, **given)
        if kind == "HFLM"
        else PackedLM(model, batch_tokens=2048, **given)
    )
    clock = Clock(lm)
    settings = load({"scale": "laptop", "hub_mirror": options.mirror})["evaluation"]["tasks"]
    manager = task_manager(miniature=False)
    found = {}
    for column, limit in ITEMS.items():
        task = build(manager, settings[column])
        count = max(1, round(limit * options.share))
        items = {leaf.task_name: range(min(count, len(leaf.eval_docs))) for leaf in leaves(task)}
        before = clock.seconds
        simple_evaluate(
            model=lm, tasks=[task], task_manager=manager, samples=items, bootstrap_iters=1
        )
        found[column] = clock.seconds - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {**found, "all": clock.seconds, "peak": peak}


if __name__ == "__main__":
    main()

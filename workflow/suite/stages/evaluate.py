"""One cell's evaluation: six zero-shot tasks through lm-evaluation-harness, and perplexity."""

import logging
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from suite.artifacts.files import read_json, sha256, write_json
from suite.artifacts.items import Items, from_samples, write_items
from suite.artifacts.masks import mask_hash
from suite.artifacts.recorded import check
from suite.artifacts.tensors import load_masks
from suite.jobs.precision import compute_dtype
from suite.jobs.provenance import Meter, choose_device, compute_setting, environment
from suite.plan.cell import Cell
from suite.sources.hub import mirror
from suite.sources.tasks import build, commits, leaves, revisions, task_manager
from suite.stages import corpora, models
from suite.stages.perplexity import perplexity

_METRICS = {"perplexity": "ppl", "in_domain": "in_domain_ppl"}  # as the tables call them


def evaluate(
    model_directory: Path,
    hardened: Path | None,
    perplexity_corpus: Path,
    in_domain_corpus: Path | None,
    cell: Cell,
    run: str,
    recipe: Mapping[str, Any],
    miniature_data: Path | None,
    output: Path,
    items_output: Path,
) -> dict[str, float]:
    """Evaluate the hardened checkpoint (or the dense model where it is None).

    Writes the scores as JSON, and which items were answered correctly
    (`suite.artifacts.items`). A second perplexity is that of `in_domain_corpus`, if there is one.
    Raises ValueError where the checkpoint that is loaded is not the one that its manifest
    describes.
    Returns the headline numbers for the job's journal.
    """
    meter = Meter()
    settings = recipe["evaluation"]
    device = choose_device()
    described = models.describe(model_directory, recipe["model"])
    dtype, bos = compute_dtype(described["dtype"], device), described["bos"]
    checkpoint = hardened or models.intact_checkpoint(model_directory)
    model = models.load_model(checkpoint, dtype, device)
    manifest = _verified_manifest(hardened, model, cell, recipe) if hardened else {}
    tokenizer = models.load_tokenizer(model_directory)
    tasks, items, versions = run_tasks(model, tokenizer, bos, settings, miniature_data)
    texts = {"perplexity": perplexity_corpus}
    if in_domain_corpus:
        texts["in_domain"] = in_domain_corpus
    qualities, recorded = {}, {}
    for name, corpus in texts.items():
        windows_ST, recorded[f"{name}_corpus"] = corpora.read(corpus, recipe[name])
        qualities[name] = perplexity(model, windows_ST, settings["batch_tokens"])
    result = {
        "run": run,
        **asdict(cell),
        "achieved_sparsity": manifest.get("achieved_sparsity", 0.0),
        **qualities,
        "tasks": tasks,
        "provenance": {
            **versions,
            "recipe": dict(recipe),
            "bos": bos,
            "hub_mirror": mirror() is not None,
            **recorded,
            "mask_sha256": manifest.get("mask_sha256", ""),
            "weights_sha256": manifest.get("weights_sha256", ""),
            "dense_weights_sha256": described["weights_sha256"],
            **compute_setting(dtype, device, model),
            "cost": meter.read(),
            **environment(),
        },
    }
    write_items(items, items_output)
    write_json(output, result)
    headline = {_METRICS[name]: quality["value"] for name, quality in qualities.items()}
    return headline | {name: 100 * task["acc"] for name, task in tasks.items()}


def run_tasks(
    model: Any,
    tokenizer: Any,
    bos: bool,
    settings: Mapping[str, Any],
    miniature_data: Path | None,
) -> tuple[dict[str, dict[str, Any]], Items, dict[str, Any]]:
    """Results by column (acc, acc_norm, chance as fractions), items, and what else to record.

    All tasks go through one call of lm-eval, zero-shot, in batches of a fixed composition. It is
    `evaluate`, since `simple_evaluate` also asks pip for the installed packages, a second a cell.
    """
    import lm_eval

    from suite.stages.packed import PackedLM

    # and not that a model which is loaded already may ignore other arguments
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    lm = PackedLM(
        model, tokenizer=tokenizer, batch_tokens=settings["batch_tokens"], add_bos_token=bos
    )
    logging.getLogger("lm_eval").setLevel(logging.WARNING)
    _check_bos(lm, tokenizer, bos)
    manager = task_manager(miniature_data is not None)
    wanted = settings["tasks"]
    of_hub = [] if miniature_data is not None else list(wanted.values())
    loaded = commits(of_hub)
    built = {
        task["task"]: build(manager, task, miniature_data, loaded.get(task["dataset"]))
        for task in wanted.values()
    }
    limits = {task["task"]: task["limit"] for task in wanted.values()}
    results = lm_eval.evaluate(
        lm,
        manager.load(list(built.values())),
        samples=_first_items(built, limits),
        log_samples=True,
        # accuracies have an analytic standard error; 0 would turn every stderr into N/A
        bootstrap_iters=1,
    )
    assert results is not None, "evaluate returns None on other ranks than 0 only"
    tasks = {
        column: _task_result(results, built[task["task"]], task["task"])
        for column, task in wanted.items()
    }
    names = {
        column: [leaf.task_name for leaf in leaves(built[task["task"]])]
        for column, task in wanted.items()
    }
    items = from_samples(results["samples"], names)
    versions = {
        "num_fewshot": 0,
        "datasets": revisions(of_hub, loaded),
    }
    return tasks, items, versions


def _first_items(built: Mapping[str, Any], limits: Mapping[str, int]) -> dict[str, range]:
    """The first `limit` items of each task, or of each subtask of a group; limit 0 means all."""
    return {
        leaf.task_name: range(min(limits[name] or len(leaf.eval_docs), len(leaf.eval_docs)))
        for name, task in built.items()
        for leaf in leaves(task)
    }


def _task_result(results: Mapping[str, Any], task: Any, name: str) -> dict[str, Any]:
    values = results["results"][name]
    names = [leaf.task_name for leaf in leaves(task)]
    scores = {
        f"{metric}{suffix}": values[f"{metric}{suffix},none"]
        for metric in ("acc", "acc_norm")
        for suffix in ("", "_stderr")
        if f"{metric},none" in values
    }
    return {
        "task": name,
        **scores,
        "chance": chance([sample for name in names for sample in results["samples"][name]]),
        "samples": sum(results["n-samples"][name]["effective"] for name in names),
        "version": str(results["versions"][name]),
    }


def chance(samples: Sequence[Mapping[str, Any]]) -> float:
    """The accuracy, as a fraction, of guessing evenly among the choices of each of these samples.

    The number of choices is lm-eval's own: it asks for the likelihood of each. Items of one task
    may differ in it, as some of ARC's have 3 or 5.
    """
    return statistics.fmean(1 / len(sample["arguments"]) for sample in samples)


def _check_bos(lm: Any, tokenizer: Any, bos: bool) -> None:
    begins = lm.tok_encode("the")[:1] == [tokenizer.bos_token_id]
    if begins != bos:
        raise ValueError(
            f"the model's `bos` is {bos}, but lm-eval's encodings say otherwise: scores "
            "would not be comparable with the calibration"
        )


def _verified_manifest(
    hardened: Path, model: Any, cell: Cell, recipe: Mapping[str, Any]
) -> dict[str, Any]:
    """The manifest, after comparing it with the model that was really loaded."""
    from leap.layers import prunable_linears

    manifest = read_json(hardened / "manifest.json")
    check(hardened / "manifest.json", manifest["recipe"], recipe["checkpoint"])
    masks = load_masks(hardened / "mask.safetensors")
    intact = (
        sha256(hardened / "model.safetensors") == manifest["weights_sha256"]
        and mask_hash(masks) == manifest["mask_sha256"]
        and manifest["target_sparsity"] == cell.target
    )
    zeros = sum(int((m.weight == 0).sum()) for m in prunable_linears(model).values())
    if not intact or zeros != manifest["zeros"]:
        raise ValueError(
            f"{hardened} is not what its manifest.json describes: delete the folder and run again"
        )
    return manifest

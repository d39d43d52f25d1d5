"""What Snakemake plans and refuses before any job starts. Nothing here computes."""

import re

import pytest

from tests.conftest import ROOT  # no copy is needed: a dry run writes nothing

MODEL = "mini-llama-3.2-1b"

# arguments -> parts of the message; all messages about settings are tested in tests/unit/plan
MISTAKES = {
    "settings": (
        ["--config", "grid={methods: [wanda, wandb], models: [mini-lama-3.2-1b]}"],
        ["'wandb' has no settings", "did you mean 'wanda'?",
         "grid.models: there is no model 'mini-lama-3.2-1b'", "hub_mirror: there is no folder no"],
    ),
    "task of lm-eval": (
        ["--config", "scale=laptop",
         "evaluation={tasks: {swag: {task: helaswag, dataset: a/b, limit: 0}}}"],
        ["evaluation.tasks.swag.task: lm-eval has no task or group 'helaswag'",
         "did you mean hellaswag, "],
    ),
    "corpus of a target": (
        [f"results/smoke/validation/{MODEL}/wanda/0.5.json", "--config", "scale=smoke"],
        ["corpora.validation: scale smoke has no such corpus; add it under corpora"],
    ),
    "study": (
        ["patterns", "--config", "scale=smoke"],
        ["scale smoke has no target or study 'patterns'; scale mini has most studies"],
    ),
    "target": (["tokenz"], ["no target or study 'tokenz' (did you mean 'tokens'?); "]),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_ends_in_a_readable_error_without_frames_of_the_code(fail, mistake):
    """A mirror in the environment is checked like the setting."""
    arguments, parts = MISTAKES[mistake]
    variables = {"HUB_MIRROR": "nowhere"} if mistake == "settings" else {}
    text = fail(ROOT, "--dry-run", *arguments, **variables)
    assert [part for part in parts if part not in text] == []
    assert "suite/plan" not in text and "KeyError" not in text


@pytest.fixture(scope="module")
def every_kind(succeed) -> str:
    """Plan of one model for learned masks, learned weights and reconstructions."""
    grid = "methods: [wanda, leap, elsa, admm-reconstruct, leap-reconstruct]"
    only = f"grid={{models: [{MODEL}], {grid}}}"
    return succeed(ROOT, "--dry-run", "--config", "scale=smoke", "run=planned", only)


def inputs(text: str, message: str) -> set[str]:
    """Planned inputs of the job with this message, below the run's folder."""
    (reason,) = re.findall(rf"{message}\nReason: .*Input files updated by another job: (.*)", text)
    return {file.removeprefix("results/planned/") for file in reason.split(", ")}


def test_every_kind_of_method_has_its_jobs(every_kind, counted):
    """Wanda and ADMM are pruned once, for LEAP, their own cells and the reconstructions."""
    jobs = counted(every_kind)
    wanted = {"prune": 4, "train": 1, "binarise": 1, "train_weights": 1, "harden": 5, "evaluate": 6}
    assert wanted.items() <= jobs.items()


def test_every_kind_of_method_has_its_inputs(every_kind):
    """Reconstructions start from masks, and weights unless learned; ELSA needs text alone."""
    for source, files in (("admm", {"mask", "weights"}), ("leap", {"mask"})):
        found = inputs(every_kind, f"Pruning \\S+ to 0.5 with {source}-reconstruct")
        place = f"pruned/{MODEL}/{source}/0.5"
        assert {f for f in found if f.startswith(place) and f.endswith(".safetensors")} == {
            f"{place}/{file}.safetensors" for file in files
        }
    model = f"models/{MODEL}/model.json"
    elsa = inputs(every_kind, "Learning weights of \\S+ at 0.5 with elsa")
    assert elsa == {model, f"corpora/{MODEL}/training.safetensors"}
    for method, files in (
        ("elsa", {"mask.safetensors", "weights.safetensors", "pruning.json"}),
        ("wanda", {"mask.safetensors", "weights.safetensors", "pruning.json"}),
        ("leap", {"mask.safetensors", "choice.json", "training.json"}),
    ):
        found = inputs(every_kind, f"Hardening \\S+, {method} at 0.5")
        assert found == {model, *(f"pruned/{MODEL}/{method}/0.5/{file}" for file in files)}


def test_studies_and_searches_are_planned_by_their_own_targets_and_share_cells(succeed, counted):
    """Of each model: dense, 8 methods of the allocation, 13 more amounts of text, 3 at 0.5."""
    opponents = "opponents: {grid: {methods: [admm, alps, leap]}}"
    tokens = "tokens: {amounts: {calibrated: {methods: [admm, alps]}, trained: {methods: [leap]}}}"
    targets = ("allocation", "opponents", "tokens", "elsa_search")
    settings = ("--config", "run=planned", f"studies={{{opponents}, {tokens}}}")
    jobs = counted(succeed(ROOT, "--dry-run", *targets, *settings))
    # wanda is pruned at 0.5 as well, since LEAP starts from it
    wanted = {"prune": 2 * 18, "train": 2 * 7, "evaluate": 2 * 25, "tracking": 3}
    wanted |= {"collect": 4, "tables": True, "figures": True}
    # settings of learned weights, compared on validation text
    wanted |= {"train_weights": 30, "validate": 30, "elsa_search": 1}
    assert wanted.items() <= jobs.items()
    assert "leap_search" not in jobs


def test_the_papers_grid_is_planned_without_torch_gpu_or_network(tmp_path, succeed, counted):
    """Dense, eight layer-wise methods and LEAP at two sparsities.

    Torch is replaced by a module that fails, and no proxy leads anywhere.
    """
    (tmp_path / "torch.py").write_text("raise RuntimeError('planning imports torch')")
    nowhere = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY"), "http://127.0.0.1:9")
    paper = ("--dry-run", "--config", "scale=paper")
    text = succeed(ROOT, *paper, PYTHONPATH=str(tmp_path), **nowhere)
    wanted = {"model": 5, "prune": 80, "train": 10, "harden": 90, "evaluate": 95}
    assert wanted.items() <= counted(text).items()


MODULE = f"""
module suite:
    snakefile: "{ROOT}/Snakefile"
    config: {{"scale": "smoke", "run": "within", "grid": {{"methods": ["wanda"]}}}}

use rule * from suite as suite_*

rule mine:
    default_target: True
    input: rules.suite_table_main.output[0]
    output: "mine.txt"
    shell: "wc -l {{input}} > {{output}}"
"""


@pytest.mark.heavy
def test_the_suite_is_a_module_of_another_workflow(tmp_path, succeed, counted):
    (tmp_path / "Snakefile").write_text(MODULE)
    text = succeed(tmp_path, "--dry-run", HUB_MIRROR="")
    jobs = {"suite_prune": 2, "suite_evaluate": 4, "mine": 1}
    assert jobs.items() <= counted(text).items()
    assert "results/within/tables/main.csv" in text

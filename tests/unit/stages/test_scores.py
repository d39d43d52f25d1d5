"""Any task of lm-eval: its scores are those of lm-eval itself with its plain model.

The data are invented, in the format and the place of the real data sets.
"""

import json
import logging
import shutil
from pathlib import Path
from statistics import fmean

import lm_eval.tasks
import pytest
from lm_eval import simple_evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from leap_suite.plan.config import load
from leap_suite.sources import tasks as sources
from leap_suite.stages import models, scores
from leap_suite.stages.packed import PackedLM
from tests.conftest import ROOT

HUB = ROOT / "tests/data/hub"
FOLDERS = ("arc", "hellaswag", "sciq", "lambada", "gsm8k", "wikitext", "super_glue/boolq")


def task(name: str, dataset: str, **settings) -> dict:
    return {"task": name, "dataset": dataset, "limit": 0, **settings}


ARC = ("arc_challenge", "allenai/ai2_arc")
LAMBADA = ("lambada_openai", "EleutherAI/lambada_openai")
GSM8K = ("gsm8k", "openai/gsm8k")
TASKS = {
    "hellaswag": task("hellaswag", "Rowan/hellaswag", metric="acc_norm"),
    "sciq": task("sciq", "allenai/sciq", limit=9),
    "boolq": task("boolq", "aps/super_glue"),
    "arc_challenge": task(*ARC),
    "arc_five": task(*ARC, fewshot=5, metric="acc_norm"),
    "lambada": task(*LAMBADA),
    "lambada_ppl": task(*LAMBADA, metric="perplexity"),
    "wikitext": task(
        "wikitext", "EleutherAI/wikitext_document_level", metric="word_perplexity"
    ),
    "gsm8k": task(*GSM8K, fewshot=2, metric="exact_match", filter="strict-match"),
    "gsm8k_two": task(*GSM8K, fewshot=2, metric="exact_match", filter="flexible-extract"),
}  # fmt: skip


@pytest.fixture(scope="module")
def manager() -> TaskManager:
    """lm-eval's own tasks out of some of its folders; to index all takes ten seconds."""
    folders = [str(Path(lm_eval.tasks.__file__).parent / folder) for folder in FOLDERS]
    return TaskManager(include_path=folders, include_defaults=False)


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Path:
    """The invented data, of which half the problems of GSM8K want what a model says of no use."""
    root = tmp_path / "hub"
    shutil.copytree(HUB, root)
    file = root / "openai/gsm8k/main/test-00000.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    for row in rows[::2]:
        row["answer"] = "#### [invalid]"  # lm-eval's word for an answer without a number
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setenv("HUB_MIRROR", str(root))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    return root


@pytest.fixture
def ask(place, hub, manager, monkeypatch):
    """Scores, items and what is recorded, of tasks by name."""
    monkeypatch.setattr(scores, "task_manager", lambda miniature: manager)
    model = models.load_model(place / "model", "float32", "cpu")
    tokenizer = models.load_tokenizer(place / "model")

    def run(tasks: dict, batch_tokens: int = 2048, bos: bool = True):
        settings = {"batch_tokens": batch_tokens, "tasks": tasks}
        return scores.run_tasks(model, tokenizer, bos, settings, None)

    return run


def test_scores_are_those_of_lm_eval(ask, place, hub, manager, monkeypatch):
    """Multiple choice, likelihood, perplexity, generation; with and without solved items."""
    found, items, recorded = ask(TASKS)
    assert list(found) == list(TASKS)
    assert recorded["num_fewshot"] == {"arc_five": 5, "gsm8k": 2, "gsm8k_two": 2}
    assert set(recorded["datasets"]) == {task["dataset"] for task in TASKS.values()}

    monkeypatch.chdir(hub)  # where the plain way takes a relative path for a folder
    monkeypatch.setenv("DISABLE_MULTIPROC", "1")
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    plain = HFLM(
        models.load_model(place / "model", "float32", "cpu"), batch_size=1,
        tokenizer=models.load_tokenizer(place / "model"), add_bos_token=True,
    )  # fmt: skip
    for shots in {task.get("fewshot", 0) for task in TASKS.values()}:
        asked = {name: task for name, task in TASKS.items() if task.get("fewshot", 0) == shots}
        expected = simple_evaluate(
            plain, tasks=sorted({task["task"] for task in asked.values()}), num_fewshot=shots,
            task_manager=manager, bootstrap_iters=2,
            samples={"sciq": [*range(9)]} if shots == 0 else None,
        )  # fmt: skip
        for name, task in asked.items():
            values, kind = expected["results"][task["task"]], task.get("filter", "none")
            metric, result = task.get("metric", "acc"), found[name]
            assert result.get("metric", "acc") == metric
            assert result[metric] == pytest.approx(values[f"{metric},{kind}"], rel=1e-5)
            assert result["samples"] == expected["n-samples"][task["task"]]["effective"]
            assert result.get("fewshot", 0) == shots
            if "perplexity" in metric:
                assert f"{metric}_stderr" not in result and name not in items
            else:
                assert result[f"{metric}_stderr"] == values[f"{metric}_stderr,{kind}"]
                (of_task,) = items[name].values()
                assert fmean(of_task.values()) == pytest.approx(result[metric])
                samples = expected["samples"][task["task"]]
                assert of_task == {s["doc_id"]: s[metric] for s in samples if s["filter"] == kind}
    assert found["gsm8k"]["exact_match"] == 0.5
    chances = {name: result["chance"] for name, result in found.items() if "chance" in result}
    assert chances == {
        "hellaswag": 0.25, "sciq": 0.25, "boolq": 0.5,
        # one item of twelve has three choices
        "arc_challenge": pytest.approx((11 / 4 + 1 / 3) / 12),
        "arc_five": pytest.approx((11 / 4 + 1 / 3) / 12),
    }  # fmt: skip


def test_other_names_than_those_of_the_hub(ask, hub):
    """A data set of one's own, in the form of another."""
    shutil.move(hub / "allenai/sciq", hub / "mine")
    found, _, recorded = ask({"mine": task("sciq", "mine")})
    assert found["mine"]["samples"] == 12
    assert list(recorded["datasets"]) == ["mine"]


REFUSED = {
    "more solved items than there are": (
        task(*GSM8K, metric="exact_match", filter="strict-match", fewshot=9),
        "fewshot of gsm8k: gsm8k has 8 solved items: lower it",
    ),
    "a metric": (task(*ARC, metric="f1"), "arc_challenge has no metric f1; it has acc, acc_norm"),
    "a filter": (task(*GSM8K, metric="exact_match"), "gsm8k has several: strict-match, flexible"),
    "the data set of another": (
        task("hellaswag", "openai/gsm8k"), "lm-eval cannot make hellaswag of openai/gsm8k: "
    ),
    "several tasks at once": (
        task("ai2_arc", "allenai/ai2_arc"), "ai2_arc has no score of its own in lm-eval"
    ),
    "an unknown task": (task("siq", "allenai/sciq"), "lm-eval has no task 'siq'"),
    "no such data": (task("sciq", "allenai/siq"), "has no folder allenai/siq"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_only_the_job_can_tell_is_one_line(ask, name):
    wrong, line = REFUSED[name]
    with pytest.raises(ValueError, match=line) as error:
        ask({"wrong": wrong})
    assert Path(error.traceback[-1].path).is_relative_to(ROOT / "workflow/leap_suite"), (
        "no traceback"
    )


def test_answers_without_room_for_a_question_are_refused(place, hub, manager):
    built = sources.build(manager, TASKS["gsm8k"])
    built.config.generation_kwargs["max_gen_toks"] = 512
    built.build_all_requests(limit=1)
    lm = PackedLM(
        models.load_model(place / "model", "float32", "cpu"), batch_tokens=64,
        tokenizer=models.load_tokenizer(place / "model"), add_bos_token=True,
    )  # fmt: skip
    with pytest.raises(ValueError, match="answers of gsm8k have up to 512 tokens"):
        lm.generate_until(built.instances)


@pytest.mark.heavy
@pytest.mark.shared
def test_a_group_with_solved_items(place, mirror, monkeypatch):
    """MMLU with its own five, two items of each subject."""
    monkeypatch.setenv("HUB_MIRROR", str(mirror))
    folder = Path(lm_eval.tasks.__file__).parent / "mmlu/default"
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    monkeypatch.setattr(scores, "task_manager", lambda miniature: manager)
    model = models.load_model(place / "model", "float32", "cpu")
    tokenizer = models.load_tokenizer(place / "model")
    asked = load({"scale": "paper", "hub_mirror": str(mirror)})["evaluation"]["tasks"]["mmlu"]
    tasks = {"mmlu": {**asked, "limit": 2, "fewshot": 5}}
    found, items, _ = scores.run_tasks(
        model, tokenizer, True, {"batch_tokens": 4096, "tasks": tasks}, None
    )
    monkeypatch.chdir(mirror)
    plain = HFLM(model, tokenizer=tokenizer, batch_size=4, add_bos_token=True)
    expected = simple_evaluate(
        plain, tasks=["mmlu"], num_fewshot=5, task_manager=manager, bootstrap_iters=2, limit=2
    )
    assert found["mmlu"]["samples"] == 114 and found["mmlu"]["fewshot"] == 5
    assert found["mmlu"]["acc"] == expected["results"]["mmlu"]["acc,none"]
    assert found["mmlu"]["acc_stderr"] == expected["results"]["mmlu"]["acc_stderr,none"]
    correct = [score for subject in items["mmlu"].values() for score in subject.values()]
    assert fmean(correct) == pytest.approx(found["mmlu"]["acc"])

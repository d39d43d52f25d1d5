"""What lm-eval's files say of tasks before anything is imported: every task, every mistake."""

import re
import subprocess
import sys
from pathlib import Path

import lm_eval.tasks
import pytest
import yaml
from lm_eval.tasks import TaskManager

from leap_suite.plan.config import MINIATURES, load
from leap_suite.plan.validation import ConfigError
from leap_suite.sources import lm_eval_tasks
from leap_suite.sources.lm_eval_tasks import refuse
from tests.conftest import ROOT

HELLASWAG = {"task": "hellaswag", "dataset": "Rowan/hellaswag", "limit": 0}
GSM8K = {
    "task": "gsm8k", "dataset": "openai/gsm8k", "limit": 0, "metric": "exact_match",
    "filter": "strict-match",
}  # fmt: skip
ARC = {"task": "arc_challenge", "dataset": "allenai/ai2_arc", "limit": 0}


def check(tasks: dict) -> None:
    refuse({"evaluation": {"tasks": tasks}})


GOOD = {
    "hellaswag": {**HELLASWAG, "metric": "acc_norm", "filter": "none", "averaged": True},
    "arc_five": {**ARC, "fewshot": 5},
    "gsm8k": {**GSM8K, "fewshot": 5},
    "lambada": {**HELLASWAG, "task": "lambada_openai", "metric": "perplexity"},
    "mmlu": {**HELLASWAG, "task": "mmlu", "fewshot": 5},
    "wikitext": {**HELLASWAG, "task": "wikitext", "metric": "word_perplexity"},
    # by functions that are run in the job only
    "minerva_math": {**HELLASWAG, "task": "minerva_math", "metric": "exact_match", "fewshot": 4},
    "xlsum": {**HELLASWAG, "task": "xlsum_amharic_prompt_1", "metric": "rougeL"},
    "piqa_five": {**HELLASWAG, "task": "mini_piqa"},
}  # fmt: skip

MISTAKES = [
    ("swag", {"task": "helaswag"}, "task: lm-eval has no task or group 'helaswag' with a score of "
     "its own (did you mean hellaswag, "),
    ("arc", {"task": "ai2_arc"}, "task: lm-eval has no task or group 'ai2_arc'"),  # several tasks
    ("piqa", {"task": "hellaswag"}, "task: lm-eval calls another task piqa: call this one "
     "hellaswag"),
    ("piqa", {"task": "piqa", "metric": "f1"}, "metric: piqa has no metric f1; it has acc, "
     "acc_norm"),
    ("gsm8k", {"task": "gsm8k"}, "metric: gsm8k has no metric acc; it has exact_match",
     "filter: must be set, since gsm8k has several: strict-match, flexible-extract"),
    ("mmlu", {"task": "mmlu", "metric": "acc_norm"}, "metric: the group mmlu has no metric "
     "acc_norm; it has acc"),
    ("gsm8k", {**GSM8K, "filter": "strict"}, "filter: gsm8k has no filter strict; it has "
     "strict-match, flexible-extract"),
    ("lambada", {"task": "lambada_openai", "fewshot": 3}, "fewshot: lambada_openai has no solved "
     "items but those that it asks: leave it out"),
    ("chat", {"task": "arc_challenge_chat", "metric": "exact_match", "fewshot": 2},
     "fewshot: lm-eval asks arc_challenge_chat without solved items, always: leave it out"),
    ("penguins", {"task": "leaderboard_bbh_penguins_in_a_table", "metric": "acc_norm",
     "fewshot": 5}, "fewshot: leaderboard_bbh_penguins_in_a_table has 3 solved items: lower it"),
    ("text", {"task": "wikitext", "metric": "word_perplexity", "fewshot": 1}, "fewshot: wikitext "
     "is a perplexity of whole texts, before which nothing can stand"),
    ("all", {"task": "darija_summarization"}, "task: darija_summarization is a group without a "
     "score of its own: name its tasks"),
    ("squad", {"task": "squadv2"}, "task: squadv2 has its data from code of lm-eval, at no "
     "revision that could be kept"),
    ("code", {"task": "humaneval"}, "task: humaneval runs what the model writes as a program, "
     "which is not safe"),
    ("see", {"task": "mmmu_val_finance"}, "task: mmmu_val_finance shows images or plays sounds, "
     "and models here read text"),
    ("cot", {"task": "gsm8k_cot_self_consistency", "metric": "exact_match"},
     "task: gsm8k_cot_self_consistency has its answers drawn at random, so that no score would "
     "be the same"),
]  # fmt: skip


def test_what_can_be_asked_is_not_refused():
    check(GOOD)


def test_the_settings_beside_the_invented_data_are_good():
    settings = yaml.safe_load((ROOT / "tests/data/any_tasks.yaml").read_text())
    tiny = str(MINIATURES / "mini-llama-3.2-1b")
    settings["models"]["tiny"]["source"] = {"path": tiny}
    settings["hub_mirror"] = str(ROOT / "tests/data/hub")
    refuse(load(settings))


@pytest.mark.parametrize(("name", "task", "lines"), [(n, t, rest) for n, t, *rest in MISTAKES])
def test_a_mistake_is_a_line_that_names_the_setting(name, task, lines):
    with pytest.raises(ConfigError) as error:
        check({name: {"dataset": "allenai/ai2_arc", "limit": 0, **task}})
    for said, line in zip(str(error.value).splitlines(), lines, strict=True):
        assert said.startswith(f"evaluation.tasks.{name}.{line}")


@pytest.mark.parametrize("scale", ["smoke", "mini", "laptop", "claim", "workstation", "paper"])
def test_the_tasks_of_scales_are_known_without_lm_eval(scale, monkeypatch):
    monkeypatch.setattr(lm_eval_tasks, "_installed", lambda: pytest.fail("looked for lm-eval"))
    refuse(load({"scale": scale, "hub_mirror": ""}))


def test_nothing_that_is_slow_is_imported():
    code = (
        "import sys\nfrom leap_suite.sources.lm_eval_tasks import refuse\n"
        f"refuse({{'evaluation': {{'tasks': {GOOD!r}}}}})\n"
        "print(*{'torch', 'lm_eval', 'transformers', 'datasets'} & set(sys.modules))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        cwd=ROOT / "workflow", env={"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert found.stdout.strip() == ""


def test_without_lm_eval_beside_snakemake_it_is_left_to_the_job(monkeypatch):
    monkeypatch.setattr(lm_eval_tasks, "_installed", lambda: None)
    check({"swag": {**HELLASWAG, "task": "helaswag"}})


@pytest.mark.heavy
def test_every_task_and_group_of_lm_eval_is_found_and_read_as_it_does():
    manager = TaskManager()
    folder = lm_eval_tasks._installed()
    assert folder is not None
    files = lm_eval_tasks._files(folder)
    names = {*manager.all_subtasks, *manager.all_groups}
    assert len(names) > 10_000 and names <= files.keys()
    for name in sorted(names)[::50]:
        entry, definition = manager.task_index[name], lm_eval_tasks._definition(name, folder)
        assert definition is not None
        assert _without_folders(entry.cfg) == _without_folders(definition)


def _without_folders(definition: dict) -> str:
    """The definition as text, in which functions are as we have them."""
    own = str(Path(lm_eval.tasks.__file__).parent)
    return re.sub(f"{own}[^']*/", "/", str(dict(sorted(definition.items()))))

"""Commit of a data set: pinned or the newest, read as such, and recorded in results."""

from pathlib import Path

import lm_eval.tasks
import pytest
from datasets import Dataset, DatasetDict
from lm_eval.tasks import TaskManager

from leap_suite.sources import tasks, texts
from leap_suite.sources.hub import UNKNOWN
from tests.hub_server import hub, in_process

OLD, NEW = "a" * 40, "b" * 40
PIQA = {"task": "piqa", "dataset": "baber/piqa"}
TEXT = {"hub": "baber/piqa", "name": "", "split": "train", "column": "goal", "documents": 0}
SPLITS = ("train", "validation")


@pytest.fixture(scope="module")
def repositories(tmp_path_factory) -> Path:
    """A hub with one data set of two commits, whose rows say which they are of."""
    root = tmp_path_factory.mktemp("hub")
    repository = root / "datasets/baber/piqa"
    files = "".join(f"  - split: {s}\n    path: data/{s}.parquet\n" for s in SPLITS)
    for commit, age in ((OLD, "old"), (NEW, "new")):
        (repository / commit / "data").mkdir(parents=True)
        for split in SPLITS:
            row = {"goal": f"{age} {split}", "sol1": "a", "sol2": "b", "label": 0}
            Dataset.from_list([row]).to_parquet(repository / commit / f"data/{split}.parquet")
        card = f"---\nconfigs:\n- config_name: default\n  data_files:\n{files}---\n"
        (repository / commit / "README.md").write_text(card)
    (repository / "main").write_text(NEW)
    return root


def only(*groups: str) -> TaskManager:
    """Some of lm-eval's tasks; to index all takes ten seconds."""
    folder = Path(lm_eval.tasks.__file__).parent
    paths = [str(folder / group) for group in groups]
    return TaskManager(include_path=paths, include_defaults=False)


READ = """
from leap_suite.sources import prefetch, tasks, texts
from tests.unit.sources.test_revisions import NEW, OLD, PIQA, TEXT, only

prefetch.task_manager = lambda miniature: only("piqa")

def task(revision=None):
    wanted = {**PIQA, "revision": revision}
    commits = tasks.commits([wanted, wanted])
    built = tasks.build(only("piqa"), wanted, revision=commits["baber/piqa"])
    return built.dataset["validation"]["goal"][:], tasks.revisions(commits)["baber/piqa"]

def text(revision=None):
    fixed = texts.fixed({**TEXT, "revision": revision})
    return list(texts.documents(fixed)), texts.source(fixed)["revision"]

def attempt(read, revision=None):
    try:
        return read(revision)
    except ValueError as error:
        return str(error)
"""


def test_what_is_recorded_is_what_was_read(repositories, tmp_path):
    code = READ + f"result = [text(), task(), text(OLD), task(OLD), attempt(text, {'c' * 40!r})]"
    with hub(repositories) as (endpoint, requests):
        found = in_process(code, endpoint, tmp_path)
    assert found[:4] == [
        [["new train"], NEW], [["new validation"], NEW], [["old train"], OLD],
        [["old validation"], OLD],
    ]  # fmt: skip
    assert "baber/piqa: check its name and revision" in found[4]
    # once for the text and once for both tasks; what is pinned is not looked up
    assert sum("HEAD" in line and "/resolve/main/" in line for line in requests) == 2


def test_a_cached_commit_is_not_taken_for_another_when_the_network_is_gone(repositories, tmp_path):
    with hub(repositories) as (endpoint, _):
        in_process(READ + "result = task(OLD)", endpoint, tmp_path)
    code = READ + "result = [task(OLD), *(attempt(read, NEW) for read in (task, text))]"
    same, *others = in_process(code, endpoint, tmp_path, offline=True)
    assert same == [["old validation"], OLD]
    for said in others:
        assert "baber/piqa is not available: the Hub cannot be reached" in said


def test_two_commits_are_prefetched_side_by_side(repositories, tmp_path):
    code = (
        READ
        + """
for commit in (OLD, None):
    wanted = {**PIQA, "revision": commit}
    prefetch.prefetch({
        "models": [], "texts": [{**TEXT, "revision": commit, "rows": 0}], "tasks": [wanted]
    })
result = None
"""
    )
    with hub(repositories) as (endpoint, _):
        in_process(code, endpoint, tmp_path)
    code = READ + "result = [task(), task(OLD), text(), text(OLD)]"
    assert in_process(code, endpoint, tmp_path, offline=True) == [
        [["new validation"], NEW], [["old validation"], OLD], [["new train"], NEW],
        [["old train"], OLD],
    ]  # fmt: skip


def test_every_subtask_of_a_group_is_read_at_the_commit(monkeypatch):
    monkeypatch.delenv("HUB_MIRROR", raising=False)
    asked = []

    def load_dataset(path, name, **given):
        asked.append((path, given))
        row = {"question": "q", "choices": ["a", "b", "c", "d"], "answer": 0, "subject": name}
        return DatasetDict({split: Dataset.from_list([row]) for split in ("dev", "test")})

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    task = {"task": "mmlu", "dataset": "cais/mmlu", "revision": OLD}
    tasks.build(only("mmlu/default"), task, revision=OLD)
    assert {(path, given["revision"]) for path, given in asked} == {("cais/mmlu", OLD)}
    assert len(asked) == 57


def test_the_commit_of_a_mirror_or_a_file_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setenv("HUB_MIRROR", str(tmp_path))
    loaded = tasks.commits([{**PIQA, "revision": OLD}])
    assert loaded == {"baber/piqa": None}
    assert tasks.revisions(loaded) == {"baber/piqa": UNKNOWN}
    assert texts.source(texts.fixed({**TEXT, "revision": OLD}))["revision"] == UNKNOWN
    (tmp_path / "train.jsonl").write_text('{"text": "one"}\n')
    text = texts.fixed({"file": tmp_path / "train.jsonl"})
    assert list(texts.documents(text)) == ["one"]
    assert texts.source(text) == {}

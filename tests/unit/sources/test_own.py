"""A model by a hub id or a folder alone: what follows from it, and what is refused in one line."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from suite.artifacts.files import read_json, write_json
from suite.plan.config import load
from suite.plan.grid import cells
from suite.sources import own
from suite.sources.mirror import manifest
from tests.conftest import ROOT, own_model
from tests.hub_server import REVISION, hub

OWN = {"scale": "own", "hub_mirror": ""}
LATER = "f" * 40


@pytest.fixture
def folder(tmp_path) -> Path:
    """A model in Hugging Face layout, whose context is 512 tokens and whose tokenizer adds BOS."""
    return own_model(tmp_path / "Mine v1")


def edit(file: Path, **changes) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def completed(model: Path | str, tmp_path: Path, **settings) -> tuple[dict, set[str]]:
    return own.completed({**OWN, "model": str(model), **settings}, tmp_path / "results")


def test_all_settings_follow_from_a_folder(folder, tmp_path):
    edit(folder / "config.json", dtype="float16")
    found, derived = completed(folder, tmp_path)
    settings = load(found)
    model = {"source": {"path": str(folder)}, "dtype": "float16", "bos": True}
    assert settings["models"]["mine-v1"] == model
    assert derived == {"mine-v1"}
    assert settings["run"] == "own-mine-v1"
    methods = ["dense", "wanda", "sparsegpt", "admm", "leap"]
    assert [(c.model, c.method, c.target) for c in cells(settings)] == [
        ("mine-v1", method, 0.5 if method != "dense" else 0.0) for method in methods
    ]
    assert {corpus["length"] for corpus in settings["corpora"].values()} == {512}
    assert settings["studies"]["patterns"]["grid"]["models"] == ["mine-v1"]
    assert (tmp_path / "results/own-mine-v1/found.json").is_file()


def test_what_is_set_wins(folder, tmp_path):
    own_settings = {
        "run": "mine",
        "models": {"mine-v1": {"dtype": "bfloat16", "bos": False}},
        "grid": {"methods": ["wanda"]},
        "corpora": {"calibration": {"length": 64}},
    }
    found, derived = completed(folder, tmp_path, **own_settings)
    settings = load(found)
    assert settings["models"]["mine-v1"]["dtype"] == "bfloat16"
    assert settings["models"]["mine-v1"]["bos"] is False and derived == set()
    assert settings["run"] == "mine" and (tmp_path / "results/mine/found.json").is_file()
    assert settings["corpora"]["calibration"]["length"] == 64
    assert [cell.method for cell in cells(settings)] == ["dense", "wanda"]


def test_a_source_under_models_may_be_a_text(folder, tmp_path):
    models = {"one": {"source": str(folder)}, "two": {"source": str(folder), "bos": False}}
    grid = {"models": ["one", "two"]}
    asked = {"scale": "laptop", "hub_mirror": "", "models": models, "grid": grid}
    found, derived = own.completed(asked, tmp_path)
    settings = load(found)
    assert [settings["models"][name]["bos"] for name in models] == [True, False]
    assert settings["models"]["two"]["source"] == {"path": str(folder)}
    assert derived == {"one"} and settings["run"] == "laptop"


def test_a_tokenizer_without_bos_means_none(folder, tmp_path):
    edit(folder / "tokenizer.json", post_processor=None)
    found, _ = completed(folder, tmp_path)
    assert found["models"]["mine-v1"]["bos"] is False


def test_what_was_found_is_recorded_until_the_folder_changes(folder, tmp_path):
    completed(folder, tmp_path)
    record = tmp_path / "results/own-mine-v1/found.json"
    known = read_json(record)
    known[str(folder)]["dtype"] = "float16"  # not what the folder says
    write_json(record, known)
    assert completed(folder, tmp_path)[0]["models"]["mine-v1"]["dtype"] == "float16"
    edit(folder / "config.json", dtype="bfloat16")
    assert completed(folder, tmp_path)[0]["models"]["mine-v1"]["dtype"] == "bfloat16"


def test_a_mirror_says_of_which_commit_it_is_or_serves_as_a_folder(folder, tmp_path):
    mirror = tmp_path / "mirror"
    shutil.copytree(folder, mirror / "someone/Tiny-2")
    found, _ = completed("someone/Tiny-2", tmp_path, hub_mirror=str(mirror))
    assert found["models"]["tiny-2"]["source"] == {"path": str(mirror / "someone/Tiny-2")}
    about = {"id": "someone/Tiny-2", "revision": LATER}
    manifest.record(mirror, "someone/Tiny-2/", (mirror / "someone/Tiny-2").iterdir(), about)
    found, _ = completed("someone/Tiny-2", tmp_path, hub_mirror=str(mirror), run="again")
    assert found["models"]["tiny-2"]["source"] == {"hub": about | {"revision": LATER}}
    with pytest.raises(ValueError, match=r"hub_mirror: .* has no folder someone/other"):
        completed("someone/other", tmp_path, hub_mirror=str(mirror))


BAD = {
    "nothing": (lambda folder: "nowhere", "neither a folder nor owner/name"),
    "no config": (lambda folder: drop(folder, "config.json"), "holds no config.json"),
    "no tokenizer": (
        lambda folder: drop(folder, "tokenizer.json", "tokenizer_config.json"),
        "has no tokenizer that can be loaded",
    ),
    "no JSON": (lambda folder: damage(folder / "config.json"), r"config\.json is damaged"),
}


def drop(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).unlink()
    return folder


def damage(file: Path) -> Path:
    file.write_text("{")
    return file.parent


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_model_is_refused_in_one_line(case, folder, tmp_path):
    spoilt, message = BAD[case]
    with pytest.raises(ValueError, match=message) as raised:
        completed(spoilt(folder), tmp_path)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "results").exists()


def test_the_scale_asks_for_a_model():
    with pytest.raises(ValueError, match="model: must be set at scale own"):
        own.completed(OWN)
    assert own.completed({**OWN, "grid": {"models": ["smollm2-135m"]}})[1] == set()


def test_without_such_a_model_nothing_is_loaded_or_written(tmp_path):
    code = (
        "import sys; from suite.sources.own import completed\n"
        "settings = {'scale': 'mini', 'models': {'m': {'source': {'path': 'x'}}}}\n"
        "assert completed(settings) == (settings, set())\n"
        "assert not {'transformers', 'huggingface_hub', 'torch'} & set(sys.modules)"
    )
    python(code, tmp_path)
    assert not [*tmp_path.iterdir()]


def python(code: str, place: Path, **variables: str) -> str:
    """What a process prints that starts in `place`; where the hub is, is settled at its start."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "workflow")])
    environment = {**os.environ, "PYTHONPATH": path, "HUB_MIRROR": "", **variables}
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=place, env=environment, text=True, capture_output=True
    )
    assert process.returncode == 0, process.stderr[-3000:]
    return process.stdout


ASK = """
from suite.sources.own import completed
for run in {runs}:
    try:
        settings, _ = completed({{"scale": "own", "model": "{model}", "run": run}})
        print(settings["models"]["tiny"]["source"]["hub"]["revision"])
    except ValueError as error:
        print(error)
"""


def test_the_newest_commit_is_asked_for_once_a_run(folder, tmp_path):
    repository = tmp_path / "hub/someone/Tiny"
    shutil.copytree(folder, repository)
    (repository / "pytorch_model.bin").write_bytes(b"pickled")
    place = tmp_path / "place"
    place.mkdir()
    with hub(tmp_path / "hub") as (endpoint, requests):
        there = {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "0"}

        def ask(*runs: str, model: str = "someone/Tiny") -> list[str]:
            return python(ASK.format(runs=runs, model=model), place, **there).split("\n")[:-1]

        assert ask("one") == [REVISION]
        assert not [line for line in requests if "safetensors" in line or ".bin" in line]
        (repository / "main").write_text(LATER)
        asked = len(requests)
        assert ask("one") == [REVISION] and len(requests) == asked
        assert ask("two", "one") == [LATER, REVISION]
        assert ask("three", model=f"someone/Tiny@{REVISION}") == [REVISION]
    (line,) = ask("four", model="someone/other")
    assert "someone/other is not available" in line and "hub_mirror: DIR" in line

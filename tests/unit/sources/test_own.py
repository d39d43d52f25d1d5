"""A model named by a hub id or a folder alone: what follows from it, and what is refused."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from leap_suite.artifacts.files import read_json, write_json
from leap_suite.plan.config import load
from leap_suite.plan.grid import cells
from leap_suite.sources import own
from tests.conftest import ROOT, own_model
from tests.hub_server import REVISION, hub, in_process

OWN = {"scale": "own", "hub_mirror": ""}
LATER = "f" * 40


@pytest.fixture
def folder(tmp_path) -> Path:
    """A model in Hugging Face layout, whose context is 512 tokens and whose tokenizer adds BOS."""
    return own_model(tmp_path / "Mine v1")


def edit(file: Path, **changes) -> Path:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
    return file.parent


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
    pruned, whole = ["wanda", "sparsegpt", "admm", "leap"], ["rounding-8", "rounding-4"]
    targets = {"dense": 0.0, **dict.fromkeys(pruned, 0.5), **dict.fromkeys(whole, 0.0)}
    assert [(c.model, c.method, c.target) for c in cells(settings)] == [
        ("mine-v1", method, target) for method, target in targets.items()
    ]
    assert {corpus["length"] for corpus in settings["corpora"].values()} == {512}
    assert settings["studies"]["patterns"]["grid"]["models"] == ["mine-v1"]
    edit(folder / "tokenizer.json", post_processor=None)
    assert completed(folder, tmp_path)[0]["models"]["mine-v1"]["bos"] is False


def test_what_is_set_wins(folder, tmp_path):
    found, derived = completed(
        folder, tmp_path, run="mine", grid={"methods": ["wanda"]},
        models={"mine-v1": {"dtype": "bfloat16", "bos": False}},
        corpora={"calibration": {"length": 64}},
    )  # fmt: skip
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


def test_what_was_found_is_recorded_until_the_folder_changes(folder, tmp_path):
    completed(folder, tmp_path)
    record = tmp_path / "results/own-mine-v1/found.json"
    known = read_json(record)
    known[str(folder)]["dtype"] = "float16"  # not what the folder says
    write_json(record, known)
    assert completed(folder, tmp_path)[0]["models"]["mine-v1"]["dtype"] == "float16"
    edit(folder / "config.json", dtype="bfloat16")
    assert completed(folder, tmp_path)[0]["models"]["mine-v1"]["dtype"] == "bfloat16"


def test_a_mirror_serves_as_a_folder_unless_a_commit_is_named(folder, tmp_path):
    mirror = tmp_path / "mirror"
    shutil.copytree(folder, mirror / "someone/Tiny-2")
    for model, source in (
        ("someone/Tiny-2", {"path": str(mirror / "someone/Tiny-2")}),
        (f"someone/Tiny-2@{LATER}", {"hub": {"id": "someone/Tiny-2", "revision": LATER}}),
    ):
        found, _ = completed(model, tmp_path, hub_mirror=str(mirror))
        assert found["models"]["tiny-2"]["source"] == source
    with pytest.raises(ValueError, match=r"hub_mirror: .* has no folder someone/other"):
        completed("someone/other", tmp_path, hub_mirror=str(mirror))


def without(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).unlink()
    return folder


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: "nowhere", "neither a folder nor owner/name"),
        (lambda folder: without(folder, "config.json"), "holds no config.json"),
        (
            lambda folder: without(folder, "tokenizer.json", "tokenizer_config.json"),
            "has no tokenizer that can be loaded",
        ),
        (
            lambda folder: (folder / "config.json").write_text("{") and folder,
            r"config\.json is damaged",
        ),
    ],
)
def test_what_is_no_model_is_refused_in_one_line(spoil, message, folder, tmp_path):
    with pytest.raises(ValueError, match=message) as raised:
        completed(spoil(folder), tmp_path)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "results").exists()


def test_the_scale_asks_for_a_model():
    with pytest.raises(ValueError, match="model: must be set at scale own"):
        own.completed(OWN)
    assert own.completed({**OWN, "grid": {"models": ["smollm2-135m"]}})[1] == set()


def test_without_such_a_model_nothing_is_loaded_or_written(tmp_path):
    code = (
        "import sys; from leap_suite.sources.own import completed\n"
        "settings = {'scale': 'mini', 'models': {'m': {'source': {'path': 'x'}}}}\n"
        "assert completed(settings) == (settings, set())\n"
        "assert not {'transformers', 'huggingface_hub', 'torch'} & set(sys.modules)"
    )
    path = {"PYTHONPATH": f"{ROOT}:{ROOT / 'workflow'}"}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=path, check=True)
    assert not [*tmp_path.iterdir()]


ASK = """
from leap_suite.sources.own import completed

def ask(run, model="someone/Tiny"):
    try:
        settings, _ = completed({"scale": "own", "model": model, "run": run})
        return settings["models"]["tiny"]["source"]["hub"]["revision"]
    except ValueError as error:
        return str(error)
"""


def test_the_newest_commit_is_asked_for_once_a_run(folder, tmp_path):
    repository = tmp_path / "hub/someone/Tiny"
    shutil.copytree(folder, repository)
    (repository / "pytorch_model.bin").write_bytes(b"pickled")
    with hub(tmp_path / "hub") as (endpoint, requests):

        def ask(*questions: str) -> list[str]:
            code = f"{ASK}\nresult = [{', '.join(questions)}]"
            return in_process(code, endpoint, tmp_path / "home")

        assert ask("ask('one')") == [REVISION]
        assert not [line for line in requests if "safetensors" in line or ".bin" in line]
        (repository / "main").write_text(LATER)
        asked = len(requests)
        assert ask("ask('one')") == [REVISION] and len(requests) == asked
        pinned = f"ask('three', 'someone/Tiny@{REVISION}')"
        assert ask("ask('two')", "ask('one')", pinned) == [LATER, REVISION, REVISION]
    (line,) = ask("ask('four', 'someone/other')")
    assert "someone/other is not available" in line and "the setting hub_mirror" in line

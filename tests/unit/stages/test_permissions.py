"""Whoever may read new files by the user's umask may read results: safetensors thinks otherwise."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest
import torch

from leap.states.folder import StateFolder
from leap_suite.artifacts.arrays import save_arrays
from leap_suite.artifacts.files import write_json
from leap_suite.artifacts.masks import save_masks
from leap_suite.artifacts.tensors import save_tensors
from leap_suite.miniature.dataset import write_world
from leap_suite.plan.cell import Cell
from leap_suite.stages import models
from tests.unit.recipes import MODEL, recipes
from tests.unit.stages import made

CELL = Cell(MODEL, "magnitude", "0.5")


@pytest.fixture(params=[0o022, 0o002, 0o077], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def assert_as_new(place: Path, umask: int) -> None:
    """The file, or the folder with all that is in it, has the permissions of something new."""
    parts = [place, *place.rglob("*")]
    assert any(part.is_file() for part in parts)
    for part in parts:
        wanted = (0o777 if part.is_dir() else 0o666) & ~umask
        assert stat.S_IMODE(part.stat().st_mode) == wanted, part


def test_files_and_folders_of_every_kind(tmp_path, umask):
    save_tensors({"w": torch.ones(3)}, tmp_path / "a/tensors")
    save_arrays({"w": np.ones(3)}, tmp_path / "a/arrays", {})
    save_masks({"w": torch.ones(3) > 0}, tmp_path / "a/masks")
    write_json(tmp_path / "a/json", {"a": 1})
    write_json(tmp_path / "a/json", {"a": 2})
    assert_as_new(tmp_path / "a", umask)
    write_world(tmp_path / "b/world", training_count=20, held_out_count=5)
    assert_as_new(tmp_path / "b", umask)
    StateFolder(tmp_path / "c/state", "f").save(3, {"w": torch.ones(3)})
    assert_as_new(tmp_path / "c", umask)


def test_a_models_folder_and_a_hardened_checkpoint(place, tmp_path, umask):
    models.prepare(recipes().model(MODEL), tmp_path / "models/m")
    assert_as_new(tmp_path / "models", umask)
    made.harden(place, CELL, made.prune(place, CELL, tmp_path / "pruned"), tmp_path / "hardened/m")
    assert_as_new(tmp_path / "pruned", umask)
    assert_as_new(tmp_path / "hardened", umask)

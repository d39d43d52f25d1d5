"""In what dtype jobs compute, by what the CPU says of itself."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from leap_suite.artifacts.files import read_json
from leap_suite.jobs import precision
from leap_suite.plan.cell import Cell
from leap_suite.stages import models
from leap_suite.stages.harden import harden
from leap_suite.stages.prune import prune
from tests.unit.recipes import MODEL, recipes

CPUS = {
    "zen3": ("flags\t\t: fpu sse2 avx avx2 fma", False),
    "zen5": ("flags\t\t: fpu avx512f avx512_bf16 avx512_fp16", True),
    "sapphire rapids": ("flags\t\t: avx512f amx_bf16 amx_tile", True),
    "graviton3": ("Features\t: fp asimd bf16 i8mm", True),
    "graviton2": ("Features\t: fp asimd crc32", False),
    "something else": ("cpu : 3", True),
}


@pytest.fixture
def cpu(tmp_path, monkeypatch):
    def become(name: str) -> None:
        file = tmp_path / "cpuinfo"
        file.write_text(f"processor\t: 0\n{CPUS[name][0]}\n")
        monkeypatch.setattr(precision, "_CPUINFO", file)

    return become


@pytest.mark.parametrize("name", CPUS)
def test_bfloat16_only_where_the_cpu_has_it(name, cpu):
    cpu(name)
    expected = "bfloat16" if CPUS[name][1] else "float32"
    assert precision.compute_dtype("bfloat16", "cpu") == expected
    assert precision.compute_dtype("bfloat16", "cuda") == "bfloat16"
    assert precision.compute_dtype("float32", "cpu") == "float32"
    said = precision.notice({"bfloat16", "float32"}, gpus=False)
    assert ("float32" in said) != CPUS[name][1]
    assert precision.notice({"float32"}, gpus=False) == ""
    assert precision.notice({"bfloat16"}, gpus=True) == ""


def test_without_a_list_of_flags_it_is_taken_as_given(tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "_CPUINFO", tmp_path / "absent")
    assert precision.has_bfloat16()


@pytest.mark.parametrize("method", ["wanda", "sparsegpt"])
def test_results_of_bfloat16_models_are_bfloat16_and_say_how_they_were_computed(
    method, cpu, place, tmp_path, monkeypatch
):
    cpu("zen3")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    known = recipes(models={MODEL: {"dtype": "bfloat16"}})
    cell = Cell(MODEL, method, "0.5")
    models.prepare(known.model(MODEL), tmp_path / "model")
    files = {key: str(tmp_path / key) for key in ("weights", "mask", "report")}
    calibration = tmp_path / "calibration.safetensors"
    calibration.symlink_to(place / "calibration.safetensors")
    prune(tmp_path / "model", calibration, cell, known.masks(cell), files)
    assert read_json(files["report"])["dtype"] == "float32"
    changed = load_file(files["weights"])
    assert (changed != {}) == (method == "sparsegpt")
    assert {tensor.dtype for tensor in changed.values()} <= {torch.bfloat16}
    harden(tmp_path / "model", files, cell, "test", known.checkpoint(cell), tmp_path / "hardened")
    manifest = json.loads(Path(tmp_path / "hardened/manifest.json").read_text())
    assert manifest["dtype"] == "bfloat16"
    assert manifest["pruning"]["dtype"] == "float32"
    kept = load_file(tmp_path / "hardened/model.safetensors")
    assert {tensor.dtype for tensor in kept.values()} == {torch.bfloat16}

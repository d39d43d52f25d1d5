"""Jobs that run at the same time on a machine with several GPUs, here in name only."""

import re

import pytest

pytestmark = pytest.mark.heavy

MODELS = ("mini-qwen-2.5-0.5b", "mini-llama-3.2-1b")


def test_jobs_at_the_same_time_compute_on_different_gpus(tmp_path, begun_run, succeed):
    copy = begun_run(tmp_path / "suite", "world", "models", "corpora")
    settings = ("--config", "scale=smoke", "resources={prune: {gpu: 1}}")
    # both are ready, and each imports torch for seconds while it holds its GPU
    masks = [f"results/smoke/pruned/{model}/magnitude/0.5/mask.safetensors" for model in MODELS]
    devices = {"CUDA_VISIBLE_DEVICES": "4,GPU-5a", "TMPDIR": str(tmp_path)}
    succeed(copy, *masks, *settings, **devices)
    logs = [copy / f"results/smoke/logs/prune/{model}/magnitude/0.5.log" for model in MODELS]
    found = [re.findall(r"on GPU (.+)", log.read_text()) for log in logs]
    assert sorted(found) == [["4"], ["GPU-5a"]]

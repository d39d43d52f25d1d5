"""The commit that results name, and what they say of how they were computed."""

import os
import subprocess
import sys
import time

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from leap_suite.jobs.provenance import Meter, compute_setting


@pytest.fixture(scope="module")
def checkout(tmp_path_factory, copy_suite):
    """A git repository of this code, with one commit, and its `git`."""
    root = copy_suite(tmp_path_factory.mktemp("suite"))

    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b")
        return subprocess.run(
            ["git", *identity, *arguments], cwd=root, capture_output=True, text=True, check=True
        ).stdout.strip()

    git("init", "-q")
    git("add", "-A")
    git("commit", "-q", "-m", "all")
    return root, git


def named_by(root, function: str) -> str:
    command = f"from leap_suite.jobs.provenance import {function}; print({function}())"
    environment = {**os.environ, "PYTHONPATH": str(root / "workflow")}
    return subprocess.run(
        [sys.executable, "-c", command], env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


def commit_named_by(root) -> str:
    return named_by(root, "git_commit")


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("https://github.com/owner/leap.git", "https://github.com/owner/leap"),
        ("https://user:secret@host.org:8443/leap", "https://host.org:8443/leap"),
        ("git@github.com:owner/leap.git", ""),
        ("/srv/leap", ""),
        (None, ""),
    ],
)
def test_the_repository_is_a_remote_that_everybody_can_read(checkout, remote, address):
    root, git = checkout
    if remote:
        git("remote", "add", "origin", remote)
    assert named_by(root, "repository") == address
    if remote:
        git("remote", "remove", "origin")


@pytest.mark.parametrize(
    ("file", "dirty"),
    [
        ("baselines/mine.py", True),
        ("leap/mine.py", True),
        ("workflow/schemas/methods/mine.schema.yaml", True),
        ("config.yaml", True),
        ("results/mini/table.csv", False),
        ("notes.txt", False),
    ],
)
def test_changed_files_and_untracked_code_make_a_commit_dirty(checkout, file, dirty):
    root, git = checkout
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    with (root / file).open("a") as opened:
        opened.write("\n")
    assert commit_named_by(root) == git("rev-parse", "HEAD") + ("-dirty" if dirty else "")
    git("clean", "-fdq")
    git("checkout", "-q", ".")
    assert commit_named_by(root) == git("rev-parse", "HEAD")


def test_outside_a_repository_it_is_unknown(tmp_path, copy_suite):
    copy = copy_suite(tmp_path / "suite")
    assert commit_named_by(copy) == "unknown"


def test_within_a_repository_of_others_it_is_unknown(tmp_path, copy_suite):
    copy = copy_suite(tmp_path / "suite")
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], [*who, "commit", "-q", "--allow-empty", "-m", "Theirs"]):
        subprocess.run(["git", "-C", tmp_path, *command], check=True)
    assert commit_named_by(copy) == "unknown"


def small_model(attention: str) -> LlamaForCausalLM:
    config = LlamaConfig(hidden_size=8, intermediate_size=8, num_hidden_layers=1, vocab_size=8,
                         num_attention_heads=2, attn_implementation=attention)  # fmt: skip
    return LlamaForCausalLM(config)


def test_all_that_decides_the_bits_is_recorded_on_a_cpu(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    setting = compute_setting("float32", "cpu")
    assert setting == {
        "device": "cpu",
        "gpu": "",
        "dtype": "float32",
        "threads": torch.get_num_threads(),
        "attention": "",
        "sdpa": ["flash", "memory-efficient", "cudnn", "math"],
        "float32_precision": {
            "matmul": "highest", "cuda.matmul": "none", "cudnn": "none", "mkldnn.matmul": "none",
        },
        "deterministic": False,
        "cublas_workspace": "",
    }  # fmt: skip
    for attention in ("eager", "sdpa"):
        found = compute_setting("float32", "cpu", small_model(attention))
        assert found == {**setting, "attention": attention}


PRECISION = """
import torch
from leap_suite.jobs.provenance import compute_setting
torch.backends.mkldnn.matmul.fp32_precision = "bf16"
torch.backends.cuda.enable_flash_sdp(False)
torch.use_deterministic_algorithms(True)
setting = compute_setting("float32", "cpu")
print(setting["float32_precision"]["mkldnn.matmul"], setting["sdpa"], setting["deterministic"])
"""


def test_what_is_set_is_what_is_recorded():
    done = subprocess.run([sys.executable, "-c", PRECISION], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})  # fmt: skip
    assert done.stdout.strip() == "bf16 ['memory-efficient', 'cudnn', 'math'] True", done.stderr


def test_with_a_gpu_come_its_name_and_versions(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 580.95.05\necho 580.95.05\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA A100-SXM4-80GB")
    found = {"gpu": "NVIDIA A100-SXM4-80GB", "driver": "580.95.05", "cuda": str(torch.version.cuda)}
    found["cudnn"] = str(torch.backends.cudnn.version())
    assert found.items() <= compute_setting("bfloat16", "cuda").items()


def test_processor_time_is_that_of_work_and_not_of_waiting():
    waiting = Meter()
    time.sleep(0.3)
    slept = waiting.read()
    assert slept["wall_time_seconds"] >= 0.3 and slept["cpu_seconds"] < 0.2
    working, start = Meter(), time.process_time()
    while time.process_time() - start < 0.1:
        pass
    assert 0.1 <= working.read()["cpu_seconds"] <= working.read()["wall_time_seconds"] + 0.1

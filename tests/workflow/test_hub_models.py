"""Models from a hub: killed downloads, closed gates, and tokens that stay where they are."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from tests.conftest import own_model
from tests.hub_server import REVISION, hub
from tests.workflow.conftest import TOKEN
from tests.workflow.held import wait_until

pytestmark = pytest.mark.heavy

MODEL = "results/smoke/models/from-hub/model.json"
SOURCE = f"{{hub: {{id: someone/tiny, revision: {REVISION}}}}}"
RUN = (
    MODEL, "--config", "scale=smoke",
    f"models={{from-hub: {{source: {SOURCE}, dtype: float32, bos: true}}}}",
)  # fmt: skip


@pytest.fixture(scope="module")
def repositories(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("hub")
    own_model(root / "someone/tiny")
    (root / "someone/tiny/pytorch_model.bin").write_bytes(b"pickled")
    (root / "someone/tiny/modeling_tiny.py").write_text("raise SystemExit('code from a hub')\n")
    return root


@pytest.fixture(scope="module")
def suite(tmp_path_factory, copy_suite) -> Path:
    return copy_suite(tmp_path_factory.mktemp("suite"))


def variables(endpoint: str, cache: Path) -> dict[str, str]:
    """Environment of a run with this hub."""
    place = {"HF_ENDPOINT": endpoint, "HF_HOME": str(cache)}
    return {**place, "HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": "0"}


def assert_no_token(output: str, *folders: Path) -> None:
    assert TOKEN not in output
    for folder in folders:
        for file in folder.rglob("*"):
            if file.is_file():
                assert TOKEN.encode() not in file.read_bytes(), file


def test_a_download_killed_halfway_is_taken_up_again(
    repositories, suite, start_snakemake, succeed, tmp_path
):
    with hub(repositories, seconds_per_chunk=0.2) as (endpoint, requests):
        run = start_snakemake(suite, *RUN, apart=True, **variables(endpoint, tmp_path))
        wait_until(lambda: any("GET" in r and "model.safetensors" in r for r in requests))
        time.sleep(1.0)  # of the seven that it takes
        os.killpg(run.pid, 9)
        run.communicate()
    assert list(tmp_path.rglob("*.incomplete"))
    assert not (suite / MODEL).exists()
    shutil.rmtree(suite / ".snakemake/locks")  # as --unlock does
    with hub(repositories) as (endpoint, requests):
        output = succeed(suite, *RUN, **variables(endpoint, tmp_path))
    described = json.loads((suite / MODEL).read_text())
    downloaded = Path(described["path"])
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        original = repositories / "someone/tiny" / name
        assert (downloaded / name).read_bytes() == original.read_bytes()
    # neither pickles nor code are as much as asked for
    assert not [line for line in requests if ".bin" in line or ".py" in line]
    assert_no_token(output, suite / "results", suite / ".snakemake")
    shutil.rmtree(suite / "results/smoke")


def test_a_gated_model_says_what_to_do_and_not_the_token(repositories, suite, fail, tmp_path):
    with hub(repositories, gated=True) as (endpoint, _):
        output = fail(suite, *RUN, **variables(endpoint, tmp_path))
    assert "someone/tiny" in output and "accept its licence" in output and "HF_TOKEN" in output
    assert not (suite / MODEL).exists()
    assert_no_token(output, suite / "results", suite / ".snakemake")

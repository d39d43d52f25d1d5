"""Scale laptop, reduced: fetched with `prefetch`, then run with the network cut."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from datasets import load_dataset
from tokenizers import ByteLevelBPETokenizer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from suite.artifacts.files import read_json

pytestmark = [pytest.mark.heavy, pytest.mark.shared]

CORPORA = [
    f"results/laptop/corpora/tiny/{corpus}.safetensors" for corpus in ("calibration", "perplexity")
]
TASKS = ("piqa", "arc_easy", "arc_challenge", "winogrande", "openbookqa", "mmlu")
SETTINGS = {
    "scale": "laptop",
    "grid": {"models": ["tiny"], "methods": ["wanda"], "sparsities": [0.5]},
    "models": {
        "tiny": {
            "source": {"hub": {"id": "owner/tiny", "revision": "1" * 40}},
            "dtype": "float32",
            "bos": True,
        }
    },
    "corpora": {
        "calibration": {"text": {"documents": 60}, "sequences": 4, "length": 64},
        "validation": {"text": {"documents": 10, "skip": 55}, "sequences": 2, "length": 64},
        "in_domain": {"text": {"documents": 10, "skip": 5}, "sequences": 2, "length": 64},
        "perplexity": {"sequences": 4, "length": 64},
    },
    "evaluation": {"tasks": {task: {"limit": 2} for task in TASKS}},
    "tracking": {"live": False},
}


def write_model(folder: Path, mirror: Path) -> None:
    """A Llama of random weights with a tokenizer of real text."""
    rows = load_dataset(str(mirror / "allenai/c4"), "en", split="validation", streaming=True)
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(
        (row["text"] for row in rows.take(200)), vocab_size=2000, special_tokens=["<s>", "</s>"]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=trained._tokenizer, bos_token="<s>", eos_token="</s>"
    )
    tokenizer.save_pretrained(folder)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    LlamaForCausalLM(LlamaConfig(vocab_size=2000, **shape, **heads)).save_pretrained(folder)


@pytest.fixture(scope="module")
def place(tmp_path_factory, copy_suite, mirror, snakemake) -> Path:
    """A copy of the suite, the mirror with a model of ours, and `fetched` from that.

    And `original`, what the same run made of the mirror itself: corpora.
    """
    if subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode:
        pytest.skip("the network cannot be cut here: `unshare -n` is not permitted")
    folder = tmp_path_factory.mktemp("offline")
    write_model(folder / "hub/owner/tiny", mirror)
    for owner in mirror.iterdir():
        if owner.is_dir():
            (folder / "hub" / owner.name).symlink_to(owner)
    copy = copy_suite(folder / "suite")
    (copy / "settings.yaml").write_text(yaml.safe_dump(SETTINGS))
    into = ("--config", f"hub_mirror={folder / 'hub'}", f"prefetch_to={folder / 'fetched'}")
    process = snakemake(
        copy, "prefetch", *CORPORA, "--configfile", "settings.yaml", *into,
        HF_HOME=str(folder / "cache"),
    )  # fmt: skip
    assert process.returncode == 0, process.stderr[-5000:]
    (copy / "results/laptop").rename(folder / "original")
    return folder


def run_offline(
    place: Path, mirror: Path, *arguments: str, settings: str = "settings.yaml"
) -> subprocess.CompletedProcess[str]:
    """The suite in a network namespace without any device, with empty caches."""
    command = ["unshare", "-n", sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    config = ["--configfile", settings, "--config", f"hub_mirror={mirror}"]
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HOME": str(place / "offline cache"),
    }
    return subprocess.run(
        [*command, *config], cwd=place / "suite", capture_output=True, text=True, env=environment
    )


def test_the_scale_runs_without_network_on_what_was_fetched(place):
    process = run_offline(place, place / "fetched")
    assert process.returncode == 0, (process.stdout + process.stderr)[-5000:]
    results = place / "suite/results/laptop"
    assert (results / "report.html").is_file()
    for cell in ("dense/0.0", "wanda/0.5"):
        tasks = read_json(results / f"evaluations/tiny/{cell}.json")["tasks"]
        assert [tasks[task]["samples"] for task in TASKS] == [2, 2, 2, 2, 2, 114]
    for file in CORPORA:
        original = place / "original" / file.removeprefix("results/laptop/")
        assert (place / "suite" / file).read_bytes() == original.read_bytes()


@pytest.fixture
def damaged(place, tmp_path) -> Path:
    """A copy of what was fetched, to be damaged."""
    return Path(shutil.copytree(place / "fetched", tmp_path / "damaged"))


def refusal(place: Path, mirror: Path, settings: str = "settings.yaml") -> str:
    """What is said when the corpora are to be made anew from this mirror."""
    process = run_offline(place, mirror, CORPORA[1], "--forceall", settings=settings)
    assert process.returncode != 0
    return process.stdout + process.stderr


def test_what_is_missing_is_named_before_the_first_job(place, damaged):
    """A file that is gone, and a split that was not fetched."""
    file = damaged / "cais/mmlu/anatomy/test-00000.parquet"
    file.unlink()
    other = {**SETTINGS, "corpora": {**SETTINGS["corpora"]}}
    other["corpora"]["perplexity"] = {"text": {"split": "validation"}}
    (place / "suite/other.yaml").write_text(yaml.safe_dump(other))
    text = refusal(place, damaged, "other.yaml")
    assert f"{file} is damaged or incomplete (missing): run `snakemake prefetch` again" in text
    assert "Salesforce/wikitext (wikitext-2-raw-v1, validation) is missing" in text
    assert "Preparing the dense model" not in text
    assert "Traceback" not in text


def test_a_flipped_byte_is_named_by_the_job_that_reads_the_file(place, damaged):
    file = damaged / "Salesforce/wikitext/wikitext-2-raw-v1/test-00000.parquet"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    text = refusal(place, damaged)
    assert f"{file} is damaged or incomplete (wrong SHA-256)" in text
    assert "Traceback" not in text

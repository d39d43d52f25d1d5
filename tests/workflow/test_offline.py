"""Scale laptop, reduced: prefetched into HF_HOME, then run with the network cut."""

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

from leap_suite.artifacts.files import read_json
from leap_suite.plan.config import load
from leap_suite.plan.downloads import of_hub
from tests.hub_server import REVISION, hub

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
            "source": {"hub": {"id": "owner/tiny", "revision": REVISION}},
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


def write_hub(root: Path, mirror: Path) -> None:
    """A hub with the data sets of the mirror, and a Llama of random weights."""
    rows = load_dataset(str(mirror / "allenai/c4"), "en", split="validation", streaming=True)
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(
        (row["text"] for row in rows.take(200)), vocab_size=2000, special_tokens=["<s>", "</s>"]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=trained._tokenizer, bos_token="<s>", eos_token="</s>"
    )
    tokenizer.save_pretrained(root / "owner/tiny")
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=2000, **shape, **heads))
    model.save_pretrained(root / "owner/tiny")
    wanted = of_hub(load({**SETTINGS, "hub_mirror": ""}))
    pinned = {part["dataset"]: part["revision"] for part in wanted["tasks"]}
    pinned |= {part["hub"]: part["revision"] for part in wanted["texts"]}
    for dataset, revision in pinned.items():
        (root / "datasets" / dataset).mkdir(parents=True)
        (root / "datasets" / dataset / revision).symlink_to(mirror / dataset)


@pytest.fixture(scope="module")
def place(tmp_path_factory, copy_suite, mirror, snakemake) -> Path:
    """A copy of the suite, `home` as it was prefetched, and `original`: corpora made online."""
    if subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode:
        pytest.skip("the network cannot be cut here: `unshare -n` is not permitted")
    folder = tmp_path_factory.mktemp("offline")
    write_hub(folder / "hub", mirror)
    suite = copy_suite(folder / "suite")
    (suite / "settings.yaml").write_text(yaml.safe_dump(SETTINGS))
    with hub(folder / "hub") as (endpoint, _):
        for targets, home in ((CORPORA, "other home"), (["prefetch"], "home")):
            process = snakemake(
                suite, *targets, "--configfile", "settings.yaml", HF_ENDPOINT=endpoint,
                HF_HOME=str(folder / home), HF_HUB_OFFLINE="0", HF_DATASETS_OFFLINE="0",
                HUB_MIRROR="",
            )  # fmt: skip
            assert process.returncode == 0, process.stderr[-5000:]
    (suite / "results/laptop").rename(folder / "original")
    return folder


def run_offline(place: Path, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The suite in a network namespace without any device."""
    command = ["unshare", "-n", sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(home), "HUB_MIRROR": ""}
    return subprocess.run(
        [*command, "--configfile", "settings.yaml"],
        cwd=place / "suite", capture_output=True, text=True, env=environment,
    )  # fmt: skip


def test_the_scale_runs_without_network_on_what_was_fetched(place):
    process = run_offline(place, place / "home")
    assert process.returncode == 0, (process.stdout + process.stderr)[-5000:]
    results = place / "suite/results/laptop"
    assert (results / "report.html").is_file()
    for cell in ("dense/0.0", "wanda/0.5"):
        tasks = read_json(results / f"evaluations/tiny/{cell}.json")["tasks"]
        assert [tasks[task]["samples"] for task in TASKS] == [2, 2, 2, 2, 2, 114]
    for file in CORPORA:
        original = place / "original" / file.removeprefix("results/laptop/")
        assert (place / "suite" / file).read_bytes() == original.read_bytes()


def test_what_is_missing_or_damaged_is_named(place, tmp_path):
    """The one before the first job, the other by the job that reads it."""
    home = Path(shutil.copytree(place / "home", tmp_path / "home", symlinks=True))
    rows = next((home / "assets").glob("**/wikitext-2-raw-v1-test-text@*.jsonl"))
    content = bytearray(rows.read_bytes())
    content[len(content) // 2] ^= 1
    rows.write_bytes(content)
    for gone, said in (
        ("", f"{rows} is damaged: delete it and run `snakemake prefetch`"),
        (rows, "has no Salesforce/wikitext (wikitext-2-raw-v1, test) with all rows"),
    ):
        if gone:
            gone.unlink()
        process = run_offline(place, home, CORPORA[1], "--forceall")
        text = process.stdout + process.stderr
        assert process.returncode != 0 and said in text and "Traceback" not in text
        assert ("Preparing the dense model" in text) == (not gone)

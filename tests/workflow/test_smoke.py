"""The smoke scale in a clean copy: tables, checkpoints, MLflow, figures, and a second run.

Contents of tables, verdicts and figures are tested in `tests/unit`.
"""

import csv
import json
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from matplotlib.image import imread
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from leap.budget import survivors
from leap.model.layers import prunable_linears
from leap_suite.artifacts.tensors import load_masks

pytestmark = pytest.mark.heavy

MODELS = ("mini-qwen-2.5-0.5b", "mini-llama-3.2-1b")
METHODS = ("magnitude", "wanda", "admm", "leap")
TASKS = ("piqa", "arc_easy", "arc_challenge", "winogrande", "openbookqa", "mmlu")
FIGURES = ("quality", "gain", "cost", "agreement", "density", "training")


@pytest.fixture
def results(smoke_run) -> Path:
    return smoke_run / "results/smoke"


@pytest.fixture
def rows(results) -> list[dict[str, str]]:
    with open(results / "tables/main.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_every_cell_has_a_row(results, rows):
    assert [(row["model"], row["method"], row["sparsity"]) for row in rows] == [
        (model, method, sparsity)
        for model in MODELS
        for method, sparsity in [("dense", "0.0"), *((method, "0.5") for method in METHODS)]
    ]
    for row in rows:
        file = results / f"evaluations/{row['model']}/{row['method']}/{row['sparsity']}.json"
        tasks = json.loads(file.read_text())["tasks"]
        mean = 100 * sum(task["acc"] for task in tasks.values()) / 6
        assert float(row["average"]) == pytest.approx(mean, abs=0.01)
        assert {task["samples"] for task in tasks.values()} == {50}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("method", METHODS)
def test_checkpoints_load_and_their_sparsity_is_exact(results, model, method):
    folder = results / f"hardened/{model}/{method}/0.5"
    manifest = json.loads((folder / "manifest.json").read_text())
    masks = load_masks(folder / "mask.safetensors")
    linears = prunable_linears(AutoModelForCausalLM.from_pretrained(folder))
    total = sum(linear.weight.numel() for linear in linears.values())
    alive = sum(int((linear.weight != 0).sum()) for linear in linears.values())
    assert manifest["survivors"] == survivors(total, 0.5) == alive
    assert manifest["achieved_sparsity"] == 1 - alive / total
    for name, linear in linears.items():
        assert torch.equal(linear.weight != 0, masks[name])
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    assert tokenizer("the lamp", add_special_tokens=False).input_ids == [1145, 716]
    for key in ("mask_sha256", "weights_sha256", "packages", "git_commit", "pruning", "seed"):
        assert key in manifest
    if method == "leap":
        assert 0.3 < manifest["selection"]["threshold_density"] < 0.7
        assert not (results / f"training/{model}/leap/0.5").exists()


def test_every_cell_is_a_run_in_mlflow_with_the_numbers_of_the_table(smoke_run, rows):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{smoke_run / 'results/mlflow.db'}")
    experiment = client.get_experiment_by_name("leap-suite/smoke")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert len(runs) == len(rows)
    for row in rows:
        run = runs[f"{row['model']} {row['method']} {row['sparsity']}"]
        found = {**run.data.metrics, "ppl": run.data.metrics["perplexity"]}
        measures = [name for name in ("ppl", "average", "recovered_share", *TASKS) if row[name]]
        assert [found[m] for m in measures] == pytest.approx([float(row[m]) for m in measures])
        assert ("lm_loss" in found) == (row["method"] == "leap")
        if row["method"] == "wanda":
            assert run.data.params == {"budget": "row"}


def test_tables_verdicts_and_figures_say_that_tasks_are_generated(results):
    verdict = (results / "tables/verdict.md").read_text()
    assert "generated tasks for miniature models" in verdict.splitlines()[0]
    headline = json.loads((results / "tables/headline.json").read_text())
    assert [against["name"] for against in headline["against"]] == [
        "the best layer-wise baseline", "ADMM",
    ]  # fmt: skip
    for name in FIGURES:
        root = ElementTree.parse(results / f"figures/{name}.svg").getroot()
        texts = {"".join(e.itertext()).strip() for e in root.iter() if e.tag.endswith("}text")}
        assert any("miniature" in text.lower() for text in texts), name
        height, width, _ = imread(results / f"figures/{name}.png").shape
        assert height > 300 and width > 300
        pdf = (results / f"figures/{name}.pdf").read_bytes()
        assert pdf.startswith(b"%PDF-") and pdf.rstrip().endswith(b"%%EOF")


def test_snakemakes_own_report_has_tables_figures_and_the_scales_note(smoke_run, succeed, tmp_path):
    place = tmp_path / "report.zip"
    succeed(smoke_run, "--report", str(place), "--config", "scale=smoke")
    with zipfile.ZipFile(place) as archive:
        names = {Path(name).name for name in archive.namelist()}
        page = archive.read("report/report.html").decode()
    assert {f"{name}.svg" for name in FIGURES} | {"main.csv", "verdict.md"} <= names
    assert "results say nothing about the methods" in page


def test_a_second_run_does_nothing_wherever_jobs_run_and_data_come_from(
    smoke_run, succeed, tmp_path
):
    places = (f"hub_mirror={tmp_path}", "jobs_per_gpu=2", "tracking={live: true}")
    assert "Nothing to be done" in succeed(smoke_run, "-n", "--config", "scale=smoke", *places)

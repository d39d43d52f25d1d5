"""`leap-suite prune` in this process: what it leaves, and what it refuses."""

import os
import re
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from baselines import registry, sequential
from leap.model.layers import prunable_linears
from leap_suite.artifacts.files import read_json
from leap_suite.artifacts.tensors import load_masks
from leap_suite.cli import main as command
from leap_suite.cli import start
from leap_suite.cli.main import main
from leap_suite.sources import texts
from tests.conftest import ROOT, own_model

BINARY = ROOT / "results/examples/claim/documents.csv.gz"


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A folder in Hugging Face layout."""
    return own_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def text(place, tmp_path_factory) -> Path:
    """Some ten sequences of 512 tokens."""
    file = tmp_path_factory.mktemp("text") / "mine.txt"
    documents = texts.documents({"file": place / "world/text/train.jsonl"})
    file.write_text("\n\n".join(documents))
    return file


@pytest.fixture(autouse=True)
def nothing_but_files(monkeypatch):
    """Neither a mirror nor the hub."""
    monkeypatch.delenv("HUB_MIRROR", raising=False)


def pruned(model: Path, text: Path, out: Path, *more: str) -> tuple[torch.nn.Module, dict]:
    """The model that the command wrote, and its manifest."""
    arguments = ["prune", str(model), "--bos", "--text", str(text), "--out", str(out), *more]
    assert main([*arguments, "--debug"]) == 0
    return AutoModelForCausalLM.from_pretrained(out), read_json(out / "manifest.json")


def test_wanda_leaves_what_the_method_itself_makes_of_the_text(model, text, tmp_path, capsys):
    """The oracle reads the text and prunes with nothing of the command or of the stages."""
    out = tmp_path / "out"
    found, manifest = pruned(model, text, out, "--sparsity", "0.6")
    tokenizer = AutoTokenizer.from_pretrained(model)
    ids = tokenizer(text.read_text(), add_special_tokens=False).input_ids
    blocks = torch.tensor(ids[: len(ids) // 511 * 511]).view(-1, 511)
    blocks = torch.cat([torch.full((len(blocks), 1), tokenizer.bos_token_id), blocks], dim=1)
    wanda, expected = registry.load("wanda"), AutoModelForCausalLM.from_pretrained(model)
    settings = registry.make_settings(wanda, "wanda", {"budget": "row"})
    batches = blocks.split(manifest["pruning"]["calibration"]["batch"])
    masks = sequential.prune_model(expected, wanda, settings, 0.6, batches).masks
    of_file = load_masks(out / "mask.safetensors")
    assert list(of_file) == list(masks)
    assert all(torch.equal(of_file[name], mask) for name, mask in masks.items())
    for name, parameter in expected.named_parameters():
        assert torch.equal(parameter, found.get_parameter(name)), name
    linears = prunable_linears(found).values()
    zeros, total = sum(int((m.weight == 0).sum()) for m in linears), manifest["weights"]
    assert zeros == manifest["zeros"] == total - round(0.4 * total)
    assert manifest["pruning"]["calibration"]["sequences"] == len(blocks)
    assert manifest["recipe"]["masks"]["calibration"]["text"]["file"] == "mine.txt"
    assert AutoTokenizer.from_pretrained(out)("the animal").input_ids[0] == 1
    assert f"{zeros:,} of {total:,} weights removed (60.00%)" in capsys.readouterr().out
    assert os.listdir(tmp_path) == ["out"]


def test_leap_starts_from_wanda_and_counts_exactly(model, text, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(command, "SECONDS_BETWEEN_LINES", 0.0)
    out = tmp_path / "new/out"
    arguments = ("--method", "leap", "--steps", "3")
    found, manifest = pruned(model, text, out, *arguments)
    report = manifest["pruning"]
    assert report["settings"]["steps"] == 3
    assert manifest["recipe"]["masks"]["warm_start"]["implementation"] == "wanda"
    dense = AutoModelForCausalLM.from_pretrained(model)
    kept = 0
    for name, linear in prunable_linears(found).items():
        survives = linear.weight != 0
        kept += int(survives.sum())
        assert torch.equal(linear.weight, dense.get_submodule(name).weight * survives)
    assert kept == manifest["weights"] // 2
    shown = capfd.readouterr().err
    assert re.search(r"^leap-suite: blocks 1/4, \d+ s left$", shown, re.M)
    assert re.search(r"^leap-suite: step 2/3: LM loss", shown, re.M)


@pytest.mark.parametrize("method", ["reconstruct", "sparsegpt-2-4", "elsa"])
def test_other_kinds_of_methods_go_the_same_way(method, model, text, tmp_path):
    """New weights for masks of another one, a pattern, and weights that are trained."""
    more = ("--steps", "2") if method == "elsa" else ()
    _, manifest = pruned(model, text, tmp_path / "out", "--method", method, *more)
    assert manifest["method"] == method and manifest["kept_weights_changed"]
    assert manifest["survivors"] == manifest["weights"] // 2


REFUSED = {
    "a method": (["--method", "wandaa"], "invalid choice: 'wandaa'"),
    "a sparsity": (["--sparsity", "1.5"], "--sparsity: 1.5 is not between 0 and 1"),
    "steps of what is not trained": (["--steps", "3"], "there is no setting 'steps'"),
    "another share than a pattern's": (
        ["--method", "wanda-2-4", "--sparsity", "0.6"], "--sparsity: wanda-2-4 is 2:4, not 0.6",
    ),
    "no text": (["--text", "nowhere.txt"], "--text: there is no readable file nowhere.txt"),
    "a folder as text": (["--text", str(ROOT)], f"--text: there is no readable file {ROOT}"),
    "bytes": (["--text", str(BINARY)], f"--text: {BINARY} is no text in UTF-8"),
    "an option": (["--sparsitty", "0.5"], "unrecognized arguments: --sparsitty"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), REFUSED.values(), ids=REFUSED)
def test_bad_arguments_are_one_line_and_exit_code_2(arguments, message, model, tmp_path, capsys):
    assert main(["prune", str(model), "--out", str(tmp_path / "out"), *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("leap-suite: ") and message in line
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KeyboardInterrupt(), "leap-suite: interrupted; nothing was written"),
        (ModuleNotFoundError(name="datasets"), "leap-suite: there is no datasets; install the "),
    ],
)
def test_an_interruption_and_a_missing_package_are_one_line(
    error, message, monkeypatch, tmp_path, capsys
):
    def fail(_):
        raise error

    monkeypatch.setattr("leap_suite.cli.commands.prune", fail)
    monkeypatch.setattr("sys.argv", ["leap-suite", "prune", "m", "--out", str(tmp_path / "out")])
    assert start.main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(message)


def test_a_folder_that_holds_something_is_left_alone(model, tmp_path, capsys):
    (tmp_path / "precious").write_text("mine")
    for out in (tmp_path, tmp_path / "precious"):
        assert main(["prune", str(model), "--out", str(out)]) == 2
        assert "exists: name a new or an empty folder" in capsys.readouterr().err
    assert (tmp_path / "precious").read_text() == "mine"


def test_what_fails_leaves_nothing_and_says_why(model, tmp_path, capsys):
    short = tmp_path / "short.txt"
    short.write_text("the owner of the lamp")
    out = ["--out", str(tmp_path / "out")]
    assert main(["prune", str(model), *out, "--text", str(short)]) == 1
    wanted = "has 5 tokens, fewer than the 512 of a sequence: give more"
    assert capsys.readouterr().err == f"leap-suite: --text: {short} {wanted}\n"
    assert main(["prune", str(tmp_path), *out]) == 2
    assert "holds no config.json" in capsys.readouterr().err
    assert [*tmp_path.iterdir()] == [short]
    with pytest.raises(ValueError, match="give more"):
        main(["prune", str(model), *out, "--text", str(short), "--debug"])


def test_help_names_methods_defaults_and_examples(capsys):
    assert main(["--help"]) == 0
    assert "leap-suite prune Qwen/Qwen2.5-0.5B --method wanda" in capsys.readouterr().out
    assert main(["prune", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "default: wanda" in shown and "thanos" in shown and "default: leap 200" in shown
    assert main([]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "DIR: there is no folder nowhere"),
        (["MODEL", "--tasks", "piqaa"], "--tasks: scale own has no task 'piqaa' (did you mean"),
        (["MODEL", "--limit", "1", "--tasks", "piqa"], "evaluation.tasks.piqa.limit: 1 cannot"),
    ],
)
def test_evaluate_refuses_unknown_folders_tasks_and_limits(arguments, message, model, capsys):
    given = [str(model) if argument == "MODEL" else argument for argument in arguments]
    assert main(["evaluate", *given]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line

"""The documentation's examples, followed to the letter in one copy of a finished run.

Two baselines, a baseline as a rule, a learned method, a figure and a table; what runs, and again.
"""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from leap.budget import survivors
from leap.model.layers import prunable_linears
from suite.artifacts.tensors import load_masks
from suite.jobs.provenance import benchmarked
from suite.stages import models
from tests.conftest import PATH, ROOT
from tests.workflow.documented import add_documented, add_files, files_in, in_one_grid

pytestmark = pytest.mark.heavy

MODEL, OTHER_MODEL = "mini-llama-3.2-1b", "mini-qwen-2.5-0.5b"
RESULTS = "results/smoke"
FOLDER = "baselines/relative_magnitude"
BASELINE = "baselines/random_pruning.py"
LEARNED = "leap/methods/leap_rows.py"
FIGURE_TABLE = "workflow/rules/figures.smk"
# the files that each section adds
METHODS = {
    "Add a baseline": {BASELINE, "workflow/schemas/methods/random_pruning.schema.yaml"},
    "Add a baseline as a rule": {
        f"{FOLDER}/{name}" for name in ("rule.smk", "environment.yaml", "prune.py", "schema.yaml")
    },
    "Add a learned method": {LEARNED, "workflow/schemas/methods/leap_rows.schema.yaml"},
}  # fmt: skip
FIGURE = {"workflow/suite/figures/scatter.py", "workflow/report/scatter.rst"}
TABLE = {"workflow/suite/tables/averages.py", "workflow/report/averages.rst"}
TABLES = "workflow/suite/tables/registry.py"
RIA = {"baselines/ria.py", "workflow/schemas/methods/ria.schema.yaml"}
# the baseline's example is of all models; a cell of another one stands for that
ELSEWHERE = f"{RESULTS}/evaluations/{OTHER_MODEL}/random_pruning/0.5.json"


@pytest.fixture(scope="module")
def copy(tmp_path_factory, smoke_run) -> Path:
    """A copy of the finished run, to which the following fixtures add the examples in turn."""
    place = tmp_path_factory.mktemp("additions") / "suite"
    return Path(shutil.copytree(smoke_run, place, symlinks=True))


@pytest.fixture(scope="module")
def planned_with_the_figure(copy, planned) -> dict[str, int]:
    line = add_documented(copy, "Add a figure", FIGURE, FIGURE_TABLE)
    table = copy / FIGURE_TABLE
    head, rest = table.read_text().split("FIGURES = (\n")
    table.write_text(f"{head}FIGURES = (\n{line}{rest}")
    return planned(copy)


@pytest.fixture(scope="module")
def planned_with_the_table(copy, planned_with_the_figure, planned) -> dict[str, int]:
    line = add_documented(copy, "Add a table", TABLE, TABLES)
    registry, begins = copy / TABLES, "TABLES: Mapping[str, Table] = {\n"
    head, rest = registry.read_text().split(begins)
    registry.write_text(f"{head}{begins}{line}{rest}")
    return planned(copy)


@pytest.fixture(scope="module")
def configurations(copy, planned_with_the_table) -> dict[str, str]:
    """What each section of a method says of config.yaml; its files are written."""
    return {
        section: add_documented(copy, section, new, "config.yaml")
        for section, new in METHODS.items()
    }


@pytest.fixture(scope="module")
def compared(copy, planned_with_the_table) -> dict[str, Any]:
    """What docs/compare-a-method.md says of its configuration; its files are written."""
    files = files_in((copy / "docs/compare-a-method.md").read_text())
    found: dict[str, Any] = yaml.safe_load(add_files(copy, files, RIA, "ria.yaml"))
    return found


@pytest.fixture(scope="module")
def planned_without_settings(copy, configurations, compared, planned) -> dict[str, int]:
    return planned(copy)


@pytest.fixture(scope="module")
def run(snakemake) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run Snakemake at scale smoke in a folder."""

    def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        return snakemake(folder, *arguments, "--config", "scale=smoke")

    return run


@pytest.fixture(scope="module")
def said(copy, configurations, compared, planned_without_settings, run) -> str:
    """What a run with all examples says."""
    settings = in_one_grid(configurations.values())
    settings["methods"] |= compared["methods"]
    settings["grid"]["methods"] += ["wanda", "ria"]
    settings |= {key: compared[key] for key in ("subject", "against")}
    with open(copy / "config.yaml", "a") as file:
        yaml.safe_dump(settings, file)
    process = run(copy, "all", ELSEWHERE)
    assert process.returncode == 0, process.stderr[-5000:]
    return process.stdout + process.stderr


@pytest.fixture(scope="module")
def extended(copy, said) -> Path:
    """The copy after the run; to be read."""
    return copy


@pytest.fixture
def moved(extended, tmp_path) -> Path:
    """Another copy of it in another place, which a test may change."""
    return Path(shutil.copytree(extended, tmp_path / "moved", symlinks=True))


def rows_of(suite: Path) -> dict[tuple[str, str], dict[str, str]]:
    """Rows of the main table by method and seed."""
    with open(suite / RESULTS / "tables/main.csv") as file:
        rows = list(csv.DictReader(file))
    assert {row["model"] for row in rows} == {MODEL}
    return {(row["method"], row["seed"]): row for row in rows}


def manifest_of(suite: Path, method: str) -> dict:
    folder = suite / RESULTS / "hardened" / MODEL / method / "0.5"
    return json.loads((folder / "manifest.json").read_text())


def masks_of(suite: Path, method: str) -> dict:
    return load_masks(suite / RESULTS / "pruned" / MODEL / method / "0.5/mask.safetensors")


def load_dense(suite: Path) -> dict[str, Any]:
    """The prunable weights of the dense model."""
    folder = suite / "workflow/suite/miniature/checkpoints" / MODEL
    linears = prunable_linears(models.load_model(folder, "float32", "cpu"))
    return {name: linear.weight.detach() for name, linear in linears.items()}


def in_copy(suite: Path, program: str, *arguments: str) -> str:
    """What a Python program prints that imports the code of a copy."""
    process = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=suite, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": f"{suite}:{suite}/workflow"},
    )  # fmt: skip
    assert process.returncode == 0, process.stderr[-3000:]
    return process.stdout


def fingerprint_of_the_folder(suite: Path) -> str:
    return in_copy(
        suite,
        "from suite.plan.code import fingerprint; from suite.plan.methods import rule_folders; "
        "folder = rule_folders()['relative_magnitude']; "
        "print(fingerprint('suite.stages.adopt', data=[folder]), end='')",
    )


def test_a_new_figure_runs_nothing_else(planned_with_the_figure):
    assert planned_with_the_figure == {"figures": True, "page": 1}


def test_a_new_table_runs_nothing_else(planned_with_the_table):
    assert planned_with_the_table == {"figures": True, "tables": True, "page": 1}


def test_methods_without_settings_change_nothing_but_what_is_shown(planned_without_settings):
    assert planned_without_settings == {"tables": True, "figures": True, "page": 1}


def test_each_configuration_is_valid_by_itself(extended, configurations):
    """Appended to config.yaml, as documented."""
    program = (
        "import json, sys, yaml; from suite.plan.config import load; "
        "settings = [load({**yaml.safe_load(text), 'scale': 'smoke'}) for text in sys.argv[1:]]; "
        "print(json.dumps([one['grid'] for one in settings]))"
    )
    written = (ROOT / "config.yaml").read_text()
    texts = [written + text for text in configurations.values()]
    grids = json.loads(in_copy(extended, program, *texts))
    for text, grid in zip(configurations.values(), grids, strict=True):
        assert grid.items() >= yaml.safe_load(text)["grid"].items()


def test_a_run_makes_the_new_cells_and_no_finished_one(said, counted):
    # two seeds of random pruning and a second model, relative magnitude and its variant twice, RIA
    assert counted(said) == {
        "prune": 5, "relative_magnitude": 2, "adopt": 2, "train": 2, "binarise": 2, "harden": 9,
        "evaluate": 9, "collect": 1, "tables": True, "figures": True, "page": 1, "tracking": 1,
    }  # fmt: skip


def test_every_new_method_has_its_rows(extended):
    assert set(rows_of(extended)) == {
        ("dense", "0"), ("magnitude", "0"), ("random_pruning", "0"), ("random_pruning", "1"),
        ("relative_magnitude", "0"), ("relative_magnitude-0", "0"), ("magnitude-global", "0"),
        ("leap_rows", "0"), ("leap_rows", "1"), ("wanda", "0"), ("ria", "0"),
    }  # fmt: skip
    assert "| Random pruning |" in (extended / RESULTS / "tables/main.md").read_text()


def test_the_new_figure_is_drawn_and_in_the_report(extended):
    drawn = (extended / RESULTS / "figures/scatter.svg").read_text()
    assert "generated" in drawn and "Average accuracy" in drawn
    assert (extended / RESULTS / "figures/scatter.pdf").is_file()
    page = (extended / RESULTS / "report.html").read_text()
    assert "Average accuracy against perplexity of every cell of scale smoke" in page


def test_the_new_baseline_is_as_sparse_as_magnitude_worse_and_another_one_with_each_seed(extended):
    rows = rows_of(extended)
    magnitude = rows["magnitude", "0"]
    first, second = (rows["random_pruning", seed] for seed in "01")
    assert first["achieved_sparsity"] == magnitude["achieved_sparsity"]
    assert float(first["ppl"]) > float(magnitude["ppl"])
    assert first["ppl"] != second["ppl"]
    evaluations = extended / RESULTS / "evaluations" / OTHER_MODEL
    random, magnitude = (
        json.loads((evaluations / method / "0.5.json").read_text())["perplexity"]["value"]
        for method in ("random_pruning", "magnitude")
    )
    assert random > magnitude


def test_the_rules_method_and_its_variant_prune_as_they_say(extended):
    rows = rows_of(extended)
    relative, plain = rows["relative_magnitude", "0"], rows["relative_magnitude-0", "0"]
    assert relative["achieved_sparsity"] == plain["achieved_sparsity"] == "0.5"
    # with power 0 it is what the suite's own module does
    others = rows["magnitude-global", "0"]
    # but for its name, and for the dtype that a command of its own computed in, which nobody knows
    named = ("method", "implementation", "pruning_dtype")
    own = [key for key in others if key not in named and "leap" not in key]
    assert [plain[key] for key in own] == [others[key] for key in own]
    assert relative["ppl"] != plain["ppl"]


def test_the_rules_masks_are_exact_over_the_whole_model(extended):
    masks = masks_of(extended, "relative_magnitude")
    total = sum(mask.numel() for mask in masks.values())
    assert sum(int(mask.sum()) for mask in masks.values()) == total // 2
    plain, module = (masks_of(extended, m) for m in ("relative_magnitude-0", "magnitude-global"))
    assert all((plain[name] == module[name]).all() for name in module)
    assert not (extended / RESULTS / "foreign").exists()  # taken over


def test_the_rules_manifest_has_implementation_settings_cost_and_the_folders_fingerprint(extended):
    code = fingerprint_of_the_folder(extended)
    for method, power in (("relative_magnitude", 1.0), ("relative_magnitude-0", 0.0)):
        manifest = manifest_of(extended, method)
        assert manifest["pruning"]["implementation"] == "relative_magnitude"
        assert manifest["pruning"]["settings"] == {"power": power}
        cost = manifest["pruning"]["cost"]
        benchmark = extended / RESULTS / "benchmarks/foreign" / MODEL / method / "0.5.tsv"
        assert cost == benchmarked(benchmark)
        assert cost["wall_time_seconds"] > 0
        assert manifest["recipe"]["masks"]["code"] == code
        assert manifest["kept_weights_changed"] is False


def test_the_learned_methods_masks_are_rows_and_their_count_is_exact(extended):
    rows = rows_of(extended)
    learned = rows["leap_rows", "0"]
    assert learned["achieved_sparsity"] == rows["magnitude", "0"]["achieved_sparsity"]
    assert float(learned["ppl"]) > float(rows["dense", "0"]["ppl"])
    folder = extended / RESULTS / "hardened" / MODEL / "leap_rows/0.5"
    masks = load_masks(folder / "mask.safetensors")
    in_part = [row for mask in masks.values() for row in mask if row.any() and not row.all()]
    assert len(in_part) <= 1
    manifest = manifest_of(extended, "leap_rows")
    assert manifest["selection"]["rule"] == "exact"
    assert manifest["achieved_sparsity"] == pytest.approx(0.5, abs=1e-5)
    assert len({round(density, 3) for density in manifest["layer_sparsity"].values()}) > 1


def edit(suite: Path, name: str) -> None:
    with open(suite / name, "a") as file:
        file.write("\n# edited\n" if name.startswith(FOLDER) else "\n\nEDITED = True\n")


def test_the_new_table_has_every_method(extended):
    with open(extended / RESULTS / "tables/averages.csv") as file:
        means = {row["method"]: float(row["average"]) for row in csv.DictReader(file)}
    rows = rows_of(extended)
    assert means.keys() == {method for method, _ in rows}
    assert means["ria"] == pytest.approx(float(rows["ria", "0"]["average"]))


def test_a_method_of_ones_own_is_what_the_verdicts_are_about(extended, said):
    """RIA by its published formula, judged against Wanda and the best of all."""
    judged = json.loads((extended / RESULTS / "tables/headline.json").read_text())
    names = {found["name"]: found["accuracy"]["cells"] for found in judged["against"]}
    assert judged["subject"] == "ria" and "Wanda" in names
    (cell,) = names["Wanda"]
    rows = rows_of(extended)
    for method, value in (("ria", cell["value"]), ("wanda", cell["baseline_value"])):
        assert value == pytest.approx(float(rows[method, "0"]["average"]))
    assert "\nRIA vs. the best layer-wise baseline" in said
    kept = masks_of(extended, "ria")
    dense = load_dense(extended)
    assert kept.keys() == dense.keys()
    for name, mask in kept.items():  # a layer keeps its share; what it keeps is large for its place
        size = dense[name].abs()
        share = size / size.sum(1, keepdim=True) + size / size.sum(0, keepdim=True)
        assert int(mask.sum()) == survivors(mask.numel(), 0.5)
        assert share[mask].mean() > 1.5 * share[~mask].mean()


def test_in_another_place_what_is_edited_runs_again_and_no_other_method(moved, planned):
    """Of the rule's folder every file counts, so that one of them stands for all in the plan."""
    known = [fingerprint_of_the_folder(moved)]
    for name in sorted(METHODS["Add a baseline as a rule"]):
        edit(moved, name)
        known.append(fingerprint_of_the_folder(moved))
        assert len(set(known)) == len(known), name
    edit(moved, BASELINE)
    edit(moved, LEARNED)
    assert planned(moved) == {
        "prune": 2, "relative_magnitude": 2, "adopt": 2, "train": 2, "binarise": 2, "harden": 6,
        "evaluate": 6, "collect": 1, "tables": True, "figures": True, "page": 1, "tracking": 1,
    }  # fmt: skip


SAVED = "    save_file(masks, options.mask)\n    save_file({}, options.weights)\n"
# by the sparsity at which the command does it: how it breaks the contract, and what is said
WRONG = {
    "0.1": (
        "masks.pop(next(iter(masks)))",
        r"mask\.safetensors: there is no mask of model\.layers\.\d\.\S+$",
    ),
    "0.2": (
        "next(iter(masks.values()))[:] = False",
        r"mask\.safetensors keeps \d+ of \d+ weights, but sparsity 0\.2 means \d+$",
    ),
    "0.3": (
        "masks = {name: mask.astype(np.float32) for name, mask in masks.items()}",
        r"mask\.safetensors: \S+ must be bool, or 0 and 1 as uint8$",
    ),
    "0.4": (
        'weights = {f"{n}.weight": m * np.float32(np.nan) for n, m in masks.items()}',
        r"weights\.safetensors: \S+\.weight holds NaN or infinite weights$",
    ),
}


def break_the_contract(script: Path) -> None:
    text = script.read_text()
    assert text.count(SAVED) == 1
    broken = "".join(
        f"    if options.sparsity == Fraction({str(Fraction(sparsity))!r}):\n        {statement}\n"
        for sparsity, (statement, _) in WRONG.items()
    )
    saved = SAVED.replace("{}", "weights")
    script.write_text(text.replace(SAVED, f"    weights = {{}}\n{broken}{saved}"))


def test_what_breaks_the_contract_is_said_in_one_line(moved, run):
    break_the_contract(moved / FOLDER / "prune.py")
    cells = {sparsity: f"{MODEL}/relative_magnitude/{sparsity}" for sparsity in WRONG}
    masks = {s: f"{RESULTS}/pruned/{cell}/mask.safetensors" for s, cell in cells.items()}
    process = run(moved, *masks.values(), "--keep-going")
    output = process.stdout + process.stderr
    assert process.returncode != 0 and "Traceback" not in output, output[-3000:]
    for sparsity, (_, complaint) in WRONG.items():
        log = moved / RESULTS / f"logs/adopt/{cells[sparsity]}.log"
        (line,) = [line for line in log.read_text().splitlines() if " ERROR " in line]
        place = f"ValueError: {RESULTS}/foreign/{cells[sparsity]}/"
        assert re.search(re.escape(place) + complaint, line), line
        assert line in output
        assert not (moved / masks[sparsity]).exists()


def succeeds(suite: Path, command: Iterable[str]) -> None:
    process = subprocess.run(
        [*command], cwd=suite, capture_output=True, text=True, env={**os.environ, "PATH": PATH}
    )
    assert process.returncode == 0, (command, process.stdout + process.stderr)


def test_the_rule_keeps_to_the_style_of_rules_and_code(extended):
    succeeds(extended, ["snakefmt", "--check", FOLDER])
    succeeds(extended, ["ruff", "check", FOLDER])
    succeeds(extended, ["ruff", "format", "--check", FOLDER])
    succeeds(extended, ["mypy", f"{FOLDER}/prune.py"])
    succeeds(extended, ["snakemake", "--lint"])

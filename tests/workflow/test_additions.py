"""The documentation's examples, followed to the letter in one copy of a finished run.

Two baselines, a baseline as a rule, a learned method, a figure and a table.
"""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from leap.budget import survivors
from leap.model.layers import prunable_linears
from leap_suite.artifacts.tensors import load_masks
from leap_suite.jobs.provenance import benchmarked
from leap_suite.stages import models
from tests.conftest import PATH
from tests.workflow.conftest import SMOKE

pytestmark = pytest.mark.heavy

MODEL, OTHER_MODEL = "mini-llama-3.2-1b", "mini-qwen-2.5-0.5b"
RESULTS = "results/smoke"
FOLDER = "baselines/relative_magnitude"
BASELINE = "baselines/random_pruning.py"
LEARNED = "leap/methods/leap_rows.py"
# sections of CONTRIBUTING.md, and the files that each adds
METHODS = {
    "Add a baseline": {BASELINE, "workflow/schemas/methods/random_pruning.schema.yaml"},
    "Add a baseline as a rule": {
        f"{FOLDER}/{name}" for name in ("rule.smk", "environment.yaml", "prune.py", "schema.yaml")
    },
    "Add a learned method": {LEARNED, "workflow/schemas/methods/leap_rows.schema.yaml"},
}  # fmt: skip
# what each of these adds to a file, and after which line
FIGURE = ("Add a figure", {"workflow/leap_suite/figures/scatter.py", "workflow/report/scatter.rst"},
          "workflow/rules/figures.smk", "FIGURES = (\n")  # fmt: skip
TABLE = ("Add a table", {"workflow/leap_suite/tables/averages.py", "workflow/report/averages.rst"},
         "workflow/leap_suite/tables/registry.py", "TABLES: Mapping[str, Table] = {\n")  # fmt: skip
RIA = {"baselines/ria.py", "workflow/schemas/methods/ria.schema.yaml"}
# the baseline's example is of all models; a cell of another one stands for all
ELSEWHERE = f"{RESULTS}/evaluations/{OTHER_MODEL}/random_pruning/0.5.json"


def files_in(text: str) -> dict[str, str]:
    """Fenced blocks by the file that is named at the beginning of a line before each."""
    return dict(re.findall(r"^`([^`]+)`[^`]*.*?```\w+\n(.*?)```", text, flags=re.M | re.S))


def section(suite: Path, name: str) -> str:
    """Text of a section of CONTRIBUTING.md."""
    text = (suite / "CONTRIBUTING.md").read_text()
    return text.split(f"\n## {name}\n", 1)[1].split("\n## ", 1)[0]


def add(suite: Path, text: str, new: set[str], changed: str) -> str:
    """Write the `new` files of a text; returns the block for the file that is `changed`."""
    files = files_in(text)
    assert set(files) == {*new, changed}
    for name in new:
        assert not (suite / name).exists()
        (suite / name).parent.mkdir(exist_ok=True)
        (suite / name).write_text(files[name])
    return files[changed]


def add_line(suite: Path, name: str, new: set[str], changed: str, after: str) -> None:
    """Follow a section that adds a line to a file."""
    line, text = add(suite, section(suite, name), new, changed), (suite / changed).read_text()
    assert text.count(after) == 1
    (suite / changed).write_text(text.replace(after, after + line))


@dataclass(frozen=True)
class Extended:
    """The copy after a run with all examples."""

    suite: Path
    plans: list[dict[str, int]]  # with the figure, with the table too, with methods not yet used
    output: str

    @property
    def results(self) -> Path:
        return self.suite / RESULTS

    def rows(self) -> dict[tuple[str, str], dict[str, str]]:
        """Rows of the main table by method and seed."""
        with open(self.results / "tables/main.csv") as file:
            return {(row["method"], row["seed"]): row for row in csv.DictReader(file)}

    def manifest(self, method: str) -> dict[str, Any]:
        file = self.results / "hardened" / MODEL / method / "0.5/manifest.json"
        content: dict[str, Any] = json.loads(file.read_text())
        return content

    def masks(self, method: str) -> dict[str, Any]:
        return load_masks(self.results / "pruned" / MODEL / method / "0.5/mask.safetensors")


@pytest.fixture(scope="module")
def extended(tmp_path_factory, smoke_run, planned, succeed) -> Extended:
    """Add the figure, the table and the methods one after the other, then run all."""
    place = tmp_path_factory.mktemp("additions") / "suite"
    suite = Path(shutil.copytree(smoke_run, place, symlinks=True))
    plans = []
    for addition in (FIGURE, TABLE):
        add_line(suite, *addition)
        plans.append(planned(suite))
    configurations = [
        add(suite, section(suite, name), new, "config.yaml") for name, new in METHODS.items()
    ]
    documented = (suite / "docs/compare-a-method.md").read_text()
    compared = yaml.safe_load(add(suite, documented, RIA, "ria.yaml"))
    plans.append(planned(suite))

    methods, grid = dict(compared["methods"]), {"methods": ["wanda", "ria"]}
    for example in map(yaml.safe_load, configurations):
        assert set(example) == {"methods", "grid"}
        methods |= example["methods"]
        for key, values in example["grid"].items():
            grid[key] = list(dict.fromkeys([*grid.get(key, []), *values]))
    judged = {key: compared[key] for key in ("subject", "against")}
    with open(suite / "config.yaml", "a") as file:
        yaml.safe_dump({"methods": methods, "grid": grid, **judged}, file)
    output = succeed(suite, "all", ELSEWHERE, *SMOKE)
    return Extended(suite, plans, output)


@pytest.fixture
def moved(extended, tmp_path) -> Path:
    """A copy in another place, which a test may change."""
    return Path(shutil.copytree(extended.suite, tmp_path / "moved", symlinks=True))


def in_copy(suite: Path, program: str, *arguments: str) -> str:
    """Output of a Python program that imports the code of a copy."""
    process = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=suite, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": f"{suite}:{suite}/workflow"},
    )  # fmt: skip
    assert process.returncode == 0, process.stderr[-3000:]
    return process.stdout


def fingerprint_of_the_folder(suite: Path) -> str:
    return in_copy(
        suite,
        "from leap_suite.plan.code import fingerprint; "
        "from leap_suite.plan.methods import rule_folders; "
        "folder = rule_folders()['relative_magnitude']; "
        "print(fingerprint('leap_suite.stages.adopt:adopt', data=[folder]), end='')",
    )


def test_additions_run_nothing_but_what_shows_them(extended):
    figure, table, methods = extended.plans
    assert figure == {"figures": True, "page": 1}
    assert table == methods == {"figures": True, "tables": True, "page": 1}


def test_a_run_makes_the_new_cells_and_no_finished_one(extended, counted):
    # two seeds of random pruning and a second model, relative magnitude and its variant twice, RIA
    assert counted(extended.output) == {
        "prune": 5, "relative_magnitude": 2, "adopt": 2, "train": 2, "binarise": 2, "harden": 9,
        "evaluate": 9, "collect": 1, "tables": True, "figures": True, "page": 1, "tracking": 1,
    }  # fmt: skip
    rows = extended.rows()
    assert {row["model"] for row in rows.values()} == {MODEL}
    assert set(rows) == {
        ("dense", "0"), ("magnitude", "0"), ("random_pruning", "0"), ("random_pruning", "1"),
        ("relative_magnitude", "0"), ("relative_magnitude-0", "0"), ("magnitude-global", "0"),
        ("leap_rows", "0"), ("leap_rows", "1"), ("wanda", "0"), ("ria", "0"),
    }  # fmt: skip
    assert "| Random pruning |" in (extended.results / "tables/main.md").read_text()


def test_the_new_figure_and_table_are_made(extended):
    drawn = (extended.results / "figures/scatter.svg").read_text()
    assert "generated" in drawn and "Average accuracy" in drawn
    page = (extended.results / "report.html").read_text()
    assert "Average accuracy against perplexity of every cell of scale smoke" in page
    with open(extended.results / "tables/averages.csv") as file:
        means = {row["method"]: float(row["average"]) for row in csv.DictReader(file)}
    rows = extended.rows()
    assert means.keys() == {method for method, _ in rows}
    assert means["ria"] == pytest.approx(float(rows["ria", "0"]["average"]))


def test_the_rules_method_and_its_variant_prune_as_they_say(extended):
    rows = extended.rows()
    relative, plain = rows["relative_magnitude", "0"], rows["relative_magnitude-0", "0"]
    assert relative["ppl"] != plain["ppl"]
    # with power 0 it is the suite's own global magnitude, but for the name and for the dtype, which
    # is unknown of a foreign command
    others = rows["magnitude-global", "0"]
    named = ("method", "implementation", "pruning_dtype")
    own = [key for key in others if key not in named and "leap" not in key]
    assert [plain[key] for key in own] == [others[key] for key in own]
    masks, module = (extended.masks(m) for m in ("relative_magnitude-0", "magnitude-global"))
    assert all((masks[name] == module[name]).all() for name in module)
    masks = extended.masks("relative_magnitude")
    total = sum(mask.numel() for mask in masks.values())
    assert sum(int(mask.sum()) for mask in masks.values()) == total // 2
    assert not (extended.results / "foreign").exists()

    code = fingerprint_of_the_folder(extended.suite)
    for method, power in (("relative_magnitude", 1.0), ("relative_magnitude-0", 0.0)):
        manifest = extended.manifest(method)
        pruning = manifest["pruning"]
        assert pruning["implementation"] == "relative_magnitude"
        assert pruning["settings"] == {"power": power}
        benchmark = extended.results / "benchmarks/foreign" / MODEL / method / "0.5.tsv"
        assert pruning["cost"] == benchmarked(benchmark)
        assert pruning["cost"]["wall_time_seconds"] > 0
        assert manifest["recipe"]["masks"]["code"] == code
        assert manifest["kept_weights_changed"] is False


def test_the_learned_methods_masks_are_rows_and_their_count_is_exact(extended):
    rows = extended.rows()
    learned = rows["leap_rows", "0"]
    assert learned["achieved_sparsity"] == rows["magnitude", "0"]["achieved_sparsity"]
    assert float(learned["ppl"]) > float(rows["dense", "0"]["ppl"])
    masks = extended.masks("leap_rows")
    in_part = [row for mask in masks.values() for row in mask if row.any() and not row.all()]
    assert len(in_part) <= 1
    manifest = extended.manifest("leap_rows")
    assert manifest["selection"]["rule"] == "exact"
    assert manifest["achieved_sparsity"] == pytest.approx(0.5, abs=1e-5)
    assert len({round(density, 3) for density in manifest["layer_sparsity"].values()}) > 1


def test_a_users_method_is_the_subject_of_the_verdicts(extended):
    """RIA by its published formula, judged against Wanda and the best of all."""
    judged = json.loads((extended.results / "tables/headline.json").read_text())
    names = {found["name"]: found["accuracy"]["cells"] for found in judged["against"]}
    assert judged["subject"] == "ria"
    (cell,) = names["Wanda"]
    rows = extended.rows()
    for method, value in (("ria", cell["value"]), ("wanda", cell["baseline_value"])):
        assert value == pytest.approx(float(rows[method, "0"]["average"]))
    assert "\nRIA vs. the best layer-wise baseline" in extended.output
    folder = extended.suite / "workflow/leap_suite/miniature/checkpoints" / MODEL
    dense = prunable_linears(models.load_model(folder, "float32", "cpu"))
    masks = extended.masks("ria")
    assert masks.keys() == dense.keys()
    for name, mask in masks.items():  # each layer keeps its share, by relative importance
        size = dense[name].weight.detach().abs()
        share = size / size.sum(1, keepdim=True) + size / size.sum(0, keepdim=True)
        assert int(mask.sum()) == survivors(mask.numel(), 0.5)
        assert share[mask].mean() > 1.5 * share[~mask].mean()


def test_in_another_place_what_is_edited_runs_again_and_no_other_method(moved, planned):
    """Every file of the rule's folder counts in its fingerprint."""
    known = {fingerprint_of_the_folder(moved)}
    for name in sorted(METHODS["Add a baseline as a rule"]):
        with open(moved / name, "a") as file:
            file.write("\n# edited\n")
        fingerprint = fingerprint_of_the_folder(moved)
        assert fingerprint not in known, name
        known.add(fingerprint)
    for name, part in ((BASELINE, "keep_largest("), (LEARNED, "torch.sigmoid(")):
        text = (moved / name).read_text()
        assert text.count(part) == 1
        (moved / name).write_text(text.replace(part, f"{part}0.0 + "))
    assert planned(moved) == {
        "prune": 2, "relative_magnitude": 2, "adopt": 2, "train": 2, "binarise": 2, "harden": 6,
        "evaluate": 6, "collect": 1, "tables": True, "figures": True, "page": 1, "tracking": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    "command",
    [["snakefmt", "--check", FOLDER], ["ruff", "check", FOLDER],
     ["ruff", "format", "--check", FOLDER], ["mypy", f"{FOLDER}/prune.py"],
     ["snakemake", "--lint"]],
    ids=" ".join,
)  # fmt: skip
def test_the_rule_passes_the_linters(extended, command):
    process = subprocess.run(
        command, cwd=extended.suite, capture_output=True, text=True,
        env={**os.environ, "PATH": PATH},
    )  # fmt: skip
    assert process.returncode == 0, process.stdout + process.stderr

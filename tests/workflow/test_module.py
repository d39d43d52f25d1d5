"""The suite as a module of another workflow."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.heavy

SNAKEFILE = f"""
module suite:
    snakefile: "{ROOT}/Snakefile"
    config: {{"scale": "smoke", "run": "within", "grid": {{"methods": ["wanda"]}}}}

use rule * from suite as suite_*

rule mine:
    default_target: True
    input: rules.suite_table_main.output[0]
    output: "mine.txt"
    shell: "wc -l {{input}} > {{output}}"
"""


def test_it_plans_in_another_folder(tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    process = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "1", "--dry-run"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    text = process.stdout + process.stderr
    assert process.returncode == 0, text[-3000:]
    planned = {line.split()[0]: line.split()[1] for line in text.splitlines() if
               len(line.split()) == 2 and line.split()[1].isdigit()}  # fmt: skip
    assert planned["suite_prune"] == "2" and planned["suite_evaluate"] == "4"
    assert planned["mine"] == "1"
    assert "results/within/tables/main.csv" in text

"""Tables of results that were not computed alike say so, or are refused; on the tracked results."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from suite.artifacts.files import read_json, write_json
from suite.artifacts.items import read_items
from suite.tables import ablations, against_published, comparison, mixed, tokens
from suite.tables.evaluations import Evaluated, main_table, read_cells
from suite.tables.headline import headline
from suite.tables.main import write_csv, write_latex, write_markdown, write_tabular
from suite.tables.verdict import write_verdict
from tests.conftest import ROOT

CLAIM = ROOT / "results/examples/claim"
MODEL = "smollm2-135m"
METHODS = ["magnitude", "wanda", "alps"]
CELLS = [f"{method}/{sparsity}" for method in METHODS for sparsity in ("0.5", "0.6")]
PACKAGES = "torch 2.11.0, transformers 5.23.0"

Edit = Callable[[dict[str, Any]], object]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A dense model and six pruned cells, with their manifests, as the claim's run left them."""
    for cell in ("dense/0.0", *CELLS):
        for file in (f"evaluations/{MODEL}/{cell}.json", f"hardened/{MODEL}/{cell}/manifest.json"):
            if (CLAIM / file).is_file():
                (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(CLAIM / file, tmp_path / file)
    return tmp_path


def edit(file: Path, change: Edit) -> None:
    content = read_json(file)
    change(content)
    write_json(file, content)


def evaluated(run: Path, cell: str, **changes: Any) -> None:
    """Change what a cell's evaluation records; packages are added to those that it has."""
    packages = changes.pop("packages", {})

    def change(content: dict[str, Any]) -> None:
        content["provenance"] |= changes
        content["provenance"]["packages"] |= packages

    edit(run / f"evaluations/{MODEL}/{cell}.json", change)


def manifest(run: Path, cell: str) -> Path:
    return run / f"hardened/{MODEL}/{cell}/manifest.json"


def results(run: Path) -> list[Evaluated]:
    evaluations = sorted((run / "evaluations").rglob("*.json"))
    manifests = sorted((run / "hardened").rglob("manifest.json"))
    return main_table(evaluations, [MODEL], METHODS, manifests=manifests)


def rows(run: Path) -> dict[str, dict[str, str]]:
    write_csv(results(run), run / "main.csv")
    with (run / "main.csv").open(newline="") as file:
        return {f"{row['method']}/{row['sparsity']}": row for row in csv.DictReader(file)}


def test_every_tracked_result_has_recorded_how_it_was_computed() -> None:
    files = sorted((CLAIM / "evaluations").rglob("*.json"))
    manifests = sorted((CLAIM / "hardened").rglob("manifest.json"))
    read = read_cells(files, manifests=manifests)
    assert len(read) == 29 and len(manifests) == 28
    for result in read:
        assert (result.asked_dtype, result.computed.dtype) == ("bfloat16", "bfloat16")
        assert result.computed.packages == f"{PACKAGES}, lm-eval 0.4.13"
        if result.cell.method != "dense":
            assert result.pruned.dtype == "bfloat16" and result.pruned.packages == PACKAGES
    assert mixed.sentence(read) == ""


def test_each_row_has_its_dtypes_and_versions(run: Path) -> None:
    evaluated(run, "wanda/0.6", dtype="float32", packages={"torch": "2.13.0"})
    found = rows(run)
    columns = ("implementation", "dtype", "versions", "pruning_dtype", "hardening_versions")
    assert [found["alps/0.5"][name] for name in columns] == [
        *("alps", "bfloat16", f"{PACKAGES}, lm-eval 0.4.13", "bfloat16", PACKAGES)
    ]
    assert found["wanda/0.6"]["dtype"] == "float32"
    assert found["wanda/0.6"]["versions"].startswith("torch 2.13.0, ")
    assert [found["dense/0.0"][name] for name in ("dtype", "pruning_dtype")] == ["bfloat16", ""]


def test_one_sentence_counts_the_cells_of_each_dtype_and_version(run: Path) -> None:
    assert mixed.sentence(results(run)) == ""
    evaluated(run, "wanda/0.6", dtype="float32")
    evaluated(run, "wanda/0.5", packages={"torch": "2.13.0"})
    evaluated(run, "alps/0.5", packages={"torch": "2.13.0", "lm-eval": "0.4.14"})
    evaluated(run, "alps/0.6", packages={"torch": "2.14.0"})
    edit(manifest(run, "alps/0.5"), lambda m: m["pruning"].update(dtype="float32"))
    edit(manifest(run, "alps/0.6"), lambda m: m["packages"].update(torch="2.13.0"))
    assert mixed.sentence(results(run)) == (
        "Mixed: 6 cells evaluated in bfloat16, 1 in float32; "
        "4 cells evaluated with torch 2.11.0, 2 with torch 2.13.0, 1 with torch 2.14.0; "
        "6 cells evaluated with lm-eval 0.4.13, 1 with lm-eval 0.4.14; "
        "5 cells pruned in bfloat16, 1 in float32; "
        "5 cells hardened with torch 2.11.0, 1 with torch 2.13.0."
    )


def test_models_that_ask_for_other_dtypes_do_not_mix(run: Path) -> None:
    copy = run / "evaluations/other/wanda/0.5.json"
    copy.parent.mkdir(parents=True)
    shutil.copy(run / f"evaluations/{MODEL}/wanda/0.5.json", copy)
    edit(copy, lambda content: content.update(model="other"))
    edit(copy, lambda content: content["provenance"].update(dtype="float32"))
    files = sorted((run / "evaluations").rglob("*.json"))
    assert mixed.sentence(read_cells(files)) == (
        "Mixed: 7 cells evaluated in bfloat16, 1 in float32."
    )
    edit(copy, lambda content: content["provenance"]["recipe"]["model"].update(dtype="float32"))
    assert mixed.sentence(read_cells(files)) == ""


def test_what_was_not_recorded_is_unknown(run: Path) -> None:
    # of a method that brings its own rule, whose dtype is that of the weights that it handed over
    def adopted(content: dict[str, Any]) -> None:
        kept = ("implementation", "settings", "cost", "events")
        pruning = {name: content["pruning"][name] for name in kept}
        content["pruning"] = {**pruning, "dtype": "bfloat16"}

    edit(manifest(run, "wanda/0.5"), adopted)
    assert rows(run)["wanda/0.5"]["pruning_dtype"] == "unknown"
    assert mixed.sentence(results(run)) == "", "nobody can make it another one"
    edit(run / f"evaluations/{MODEL}/alps/0.5.json", lambda e: e["provenance"].pop("dtype"))
    edit(run / f"evaluations/{MODEL}/alps/0.6.json", lambda e: e["provenance"].pop("packages"))
    found = rows(run)
    assert found["alps/0.5"]["dtype"] == "unknown"
    assert found["alps/0.6"]["versions"] == "torch unknown, transformers unknown, lm-eval unknown"
    text = mixed.sentence(results(run))
    assert text.startswith("Mixed: 6 cells evaluated in bfloat16, 1 unknown; ")
    assert "6 cells evaluated with torch 2.11.0, 1 unknown" in text
    manifest(run, "alps/0.6").unlink()
    assert rows(run)["alps/0.6"]["pruning_dtype"] == "unknown"


def test_tables_headline_and_verdict_say_it(run: Path) -> None:
    def written() -> dict[str, str]:
        found = results(run)
        write_markdown(found, run / "main.md", "claim")
        write_latex(found, run / "main.tex", "claim")
        write_tabular(found, run / "main_tabular.tex", "claim")
        judged = headline(found, {}, ["wanda"])
        write_verdict(judged, "claim", "What it says.", run / "verdict.md", False)
        files = ("main.md", "main.tex", "main_tabular.tex", "verdict.md")
        return {"headline": judged["mixed"]} | {name: (run / name).read_text() for name in files}

    before = written()
    assert not any("Mixed" in text for text in before.values())
    evaluated(run, "wanda/0.6", dtype="float32")
    line = "Mixed: 6 cells evaluated in bfloat16, 1 in float32."
    after = written()
    assert after["headline"] == line
    assert after["main.md"] == f"{before['main.md']}\n{line}\n"
    for name in ("main.tex", "main_tabular.tex"):
        caption = next(row for row in after[name].splitlines() if r"\caption" in row)
        assert f"{line}}}\\label" in caption
    assert after["verdict.md"].splitlines()[2:5] == ["What it says.", "", line]


def test_tables_of_means_say_it_below(run: Path) -> None:
    read = [result for result in results(run) if result.cell.sparsity != "0.6"]
    items = {r.cell: read_items(CLAIM / f"items/{r.cell.path}.csv.gz") for r in read}
    points = {m: {"method": m, "amount": "", "tokens": 1} for m in METHODS}
    compared = comparison.comparison_rows(read, items, {})
    shown = tokens.token_rows(read, points, {})
    varied = ablations.ablation_rows(read[1:2], "magnitude", [])
    published = against_published.compare(read, [])
    for line in ("", "Mixed: 2 cells evaluated in bfloat16, 1 in float32."):
        comparison.write_comparison_markdown(compared, run / "comparison.md", "claim", line)
        tokens.write_token_markdown(shown, run / "tokens.md", "claim", line)
        ablations.write_ablation_markdown(varied, run / "ablations.md", "claim", "magnitude", line)
        for name in ("comparison", "tokens", "ablations"):
            *_, before, last = (run / f"{name}.md").read_text().splitlines()
            assert (before, last) == ("", line) if line else last.startswith("| ")
        csv_file, page = run / "published.csv", run / "published.md"
        against_published.write_against_published(published, [], csv_file, page, line)
        above = page.read_text().partition("\n\n## LEAP's leads")[0]
        assert above.endswith(f"|\n\n{line}" if line else "|")


def test_a_strict_run_refuses_it_and_names_the_fewer_cells(run: Path, monkeypatch) -> None:
    files = [sorted((run / part).rglob("*.json")) for part in ("evaluations", "hardened")]
    monkeypatch.setenv("LEAP_SUITE_STRICT", "1")
    assert mixed.checked(results(run)) == ""
    mixed.refuse_standing(*([str(file) for file in part] for part in files))
    mixed.refuse_standing([str(run / "none.json")], [])
    evaluated(run, "wanda/0.6", dtype="float32")
    edit(manifest(run, "alps/0.5"), lambda m: m["pruning"].update(dtype="float32"))
    with pytest.raises(ValueError) as caught:
        mixed.checked(results(run))
    text = str(caught.value)
    assert "\n" not in text
    assert (
        f" Delete the fewer, {MODEL}/wanda/0.6 below evaluations; {MODEL}/alps/0.5 below pruned, "
        "hardened and evaluations, and run again on the kind of machine "
    ) in text
    assert mixed.sentence(results(run)) in text
    with pytest.raises(ValueError, match="strict is true"):
        mixed.refuse_standing(*([str(file) for file in part] for part in files))
    monkeypatch.setenv("LEAP_SUITE_STRICT", "0")
    assert mixed.checked(results(run)) == mixed.sentence(results(run)) != ""


def test_of_many_cells_ten_are_named(run: Path) -> None:
    for number in range(24):
        copy = run / f"evaluations/model-{number}/wanda/0.5.json"
        copy.parent.mkdir(parents=True)
        shutil.copy(run / f"evaluations/{MODEL}/wanda/0.5.json", copy)
        edit(copy, lambda content, number=number: content.update(model=f"model-{number}"))
        if number < 12:
            edit(copy, lambda content: content["provenance"].update(dtype="float32"))
    read = read_cells(sorted((run / "evaluations").rglob("*.json")))
    with pytest.raises(ValueError) as caught:
        mixed.refuse(read)
    assert str(caught.value).count("/wanda/0.5") == 10 and " and 2 more below" in str(caught.value)

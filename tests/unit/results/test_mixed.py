"""Results that were not computed alike are counted in one sentence, or refused."""

import pytest

from suite.results import mixed
from suite.results.collect import Shown, collect
from suite.tables.registry import TABLES, table
from suite.tables.told import Told
from tests.unit.made import part_of
from tests.unit.results.example import TASKS, edit, ran, write

METHODS = ["magnitude", "wanda", "alps"]
CELLS = [ran("dense"), *(ran(name, sparsity=s) for name in METHODS for s in ("0.5", "0.6"))]


@pytest.fixture
def files(tmp_path):
    """A dense model and six pruned cells that were computed alike, and one of another model."""
    return write(tmp_path, [*CELLS, ran("wanda", model="n")])


def cells(files):
    return collect(files, Shown(TASKS)).cells


def evaluated(files, cell, packages=None, **changes):
    """Change what a cell's evaluation records of itself."""

    def change(evaluation):
        evaluation["provenance"] |= changes
        evaluation["provenance"]["packages"] |= packages or {}

    edit(files[cell].evaluation, change)


def test_one_sentence_counts_the_cells_of_each_dtype_and_version(files):
    assert mixed.sentence(cells(files)) == ""
    evaluated(files, "m/wanda/0.6", dtype="float32")
    evaluated(files, "m/wanda/0.5", {"torch": "2.13.0"})
    evaluated(files, "m/alps/0.5", {"torch": "2.13.0", "lm-eval": "0.4.14"})
    evaluated(files, "m/alps/0.6", {"torch": "2.14.0"})
    edit(files["m/alps/0.5"].manifest, lambda m: m["pruning"].update(dtype="float32"))
    edit(files["m/alps/0.6"].manifest, lambda m: m["packages"].update(torch="2.13.0"))
    assert mixed.sentence(cells(files)) == (
        "Mixed: 7 cells evaluated in bfloat16, 1 in float32; "
        "5 cells evaluated with torch 2.11.0, 2 with torch 2.13.0, 1 with torch 2.14.0; "
        "7 cells evaluated with lm-eval 0.4.13, 1 with lm-eval 0.4.14; "
        "6 cells pruned in bfloat16, 1 in float32; "
        "6 cells hardened with torch 2.11.0, 1 with torch 2.13.0."
    )


def test_models_that_ask_for_other_dtypes_do_not_mix(files):
    evaluated(files, "n/wanda/0.5", dtype="float32")
    assert mixed.sentence(cells(files)) == "Mixed: 7 cells evaluated in bfloat16, 1 in float32."
    recipe = {"model": {"dtype": "float32"}}
    edit(files["n/wanda/0.5"].evaluation, lambda e: e["provenance"]["recipe"].update(recipe))
    assert mixed.sentence(cells(files)) == ""


def test_what_was_not_recorded_is_unknown_and_last(files):
    edit(files["m/wanda/0.5"].manifest, lambda m: m["pruning"].pop("device"))
    assert mixed.sentence(cells(files)) == "", "nobody can make another one of a rule's dtype"
    for cell in ("magnitude/0.5", "magnitude/0.6", "alps/0.5", "alps/0.6", "wanda/0.5"):
        edit(files[f"m/{cell}"].evaluation, lambda e: e["provenance"].pop("dtype"))
    evaluated(files, "m/alps/0.6", {"torch": "unknown"})
    assert mixed.sentence(cells(files)) == (
        "Mixed: 3 cells evaluated in bfloat16, 5 unknown; "
        "7 cells evaluated with torch 2.11.0, 1 unknown."
    )


def test_every_table_says_it(files):
    told = Told(
        "test", about="What it says.", kindred=METHODS,
        study={"variants": {"base": "wanda", "variants": {}}},
        points={name: {"method": name, "amount": "", "tokens": 1} for name in METHODS},
    )  # fmt: skip

    def texts():
        found = collect(files, Shown(TASKS))
        # ablations have one sparsity, and search is of other files
        is_one = found.cells["method"].eq("wanda") & found.cells["sparsity"].eq(0.5)
        part = part_of(found, is_one)
        return {
            (name, form): text
            for name in set(TABLES) - {"search"}
            for form, text in table(name)(part if name == "ablations" else found, told).items()
        }

    assert not any("Mixed: " in text for text in texts().values())
    evaluated(files, "n/wanda/0.5", dtype="float32")
    after = texts()
    line = "Mixed: 7 cells evaluated in bfloat16, 1 in float32."
    for (name, form), text in after.items():
        said = line.replace("7 cells", "1 cell") if name == "ablations" else line
        assert (said in text) == (form != "csv"), (name, form)
    assert after["main", "md"].endswith(f"|\n\n{line}\n")
    assert after["verdict", "md"].splitlines()[2:5] == ["What it says.", "", line]
    for name in ("main", "main_tabular"):
        assert f"{line}}}\\label" in after[name, "tex"], "at the end of the caption"


def test_a_strict_run_refuses_it_and_names_the_fewer_cells(files, monkeypatch):
    monkeypatch.setenv("LEAP_SUITE_STRICT", "1")
    mixed.refuse_if_strict(cells(files))
    evaluated(files, "m/wanda/0.6", dtype="float32")
    edit(files["m/alps/0.5"].manifest, lambda m: m["pruning"].update(dtype="float32"))
    with pytest.raises(ValueError) as caught:
        mixed.refuse_if_strict(cells(files))
    text = str(caught.value)
    assert "\n" not in text and mixed.sentence(cells(files)) in text
    assert (
        " Delete the fewer, m/wanda/0.6 below evaluations; m/alps/0.5 below pruned, hardened and "
        "evaluations, and run again on the kind of machine "
    ) in text
    monkeypatch.setenv("LEAP_SUITE_STRICT", "0")
    mixed.refuse_if_strict(cells(files))


def test_of_many_cells_ten_are_named(tmp_path):
    files = write(tmp_path, [ran("wanda", model=f"m{number}") for number in range(25)])
    for number in range(12):
        evaluated(files, f"m{number}/wanda/0.5", dtype="float32")
    with pytest.raises(ValueError) as caught:
        mixed.refuse(cells(files))
    assert str(caught.value).count("/wanda/0.5") == 10 and " and 2 more below" in str(caught.value)

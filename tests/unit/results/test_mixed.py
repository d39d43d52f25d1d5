"""Notes on mixed dtypes and versions, and their refusal in strict runs."""

import re

import pytest

from leap_suite.results import mixed
from leap_suite.results.collect import Shown, collect
from leap_suite.tables.context import Context
from leap_suite.tables.registry import TABLES, table
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
    evaluated(files, "m/alps/0.6", {"torch": "unknown"})
    edit(files["m/alps/0.5"].manifest, lambda m: m["pruning"].update(dtype="float32"))
    edit(files["m/alps/0.6"].manifest, lambda m: m["packages"].update(torch="2.13.0"))
    assert mixed.sentence(cells(files)) == (
        "Mixed: 7 cells evaluated in bfloat16, 1 in float32; "
        "5 cells evaluated with torch 2.11.0, 2 with torch 2.13.0, 1 unknown; "
        "7 cells evaluated with lm-eval 0.4.13, 1 with lm-eval 0.4.14; "
        "6 cells pruned in bfloat16, 1 in float32; "
        "6 cells hardened with torch 2.11.0, 1 with torch 2.13.0."
    )


def test_only_models_that_ask_for_one_dtype_are_compared(files):
    evaluated(files, "n/wanda/0.5", dtype="float32")
    assert mixed.sentence(cells(files)) == "Mixed: 7 cells evaluated in bfloat16, 1 in float32."
    recipe = {"model": {"dtype": "float32"}}
    edit(files["n/wanda/0.5"].evaluation, lambda e: e["provenance"]["recipe"].update(recipe))
    assert mixed.sentence(cells(files)) == ""


def test_unknown_values_come_last_and_those_of_a_methods_own_rule_do_not_count(files):
    edit(files["m/wanda/0.5"].manifest, lambda m: m["pruning"].pop("device"))
    assert mixed.sentence(cells(files)) == ""
    for cell in ("magnitude/0.5", "magnitude/0.6", "alps/0.5", "alps/0.6", "wanda/0.5"):
        edit(files[f"m/{cell}"].evaluation, lambda e: e["provenance"].pop("dtype"))
    assert mixed.sentence(cells(files)) == "Mixed: 3 cells evaluated in bfloat16, 5 unknown."


def test_every_table_has_its_formats_and_the_note(files):
    context = Context(
        "test", about="About.", kindred=METHODS,
        study={"variants": {"base": "wanda", "variants": {}}},
        points={name: {"method": name, "amount": "", "tokens": 1} for name in METHODS},
    )  # fmt: skip
    evaluated(files, "n/wanda/0.5", dtype="float32")
    found = collect(files, Shown(TASKS))
    # ablations have one sparsity
    part = part_of(found, found.cells["method"].eq("wanda") & found.cells["sparsity"].eq(0.5))
    line = "Mixed: 7 cells evaluated in bfloat16, 1 in float32."
    measured = {name for name, of in TABLES.items() if of.measured}
    for name in set(TABLES) - {"search"} - measured:
        of = (part, line.replace("7 cells", "1 cell")) if name == "ablations" else (found, line)
        texts = table(name)(of[0], context)
        assert tuple(texts) == TABLES[name].formats
        for form, text in texts.items():
            assert (of[1] in text) == (form != "csv"), (name, form)
            if form == "tex":
                assert f"{line}}}\\label" in text, "at the end of the caption"
    assert table("main")(found, context)["md"].endswith(f"|\n\n{line}\n")
    assert table("verdict")(found, context)["md"].splitlines()[2:5] == ["About.", "", line]


def test_a_strict_run_refuses_and_names_the_cells_of_the_minority(files, monkeypatch):
    monkeypatch.setenv("LEAP_SUITE_STRICT", "1")
    mixed.refuse_if_strict(cells(files))
    evaluated(files, "m/wanda/0.6", dtype="float32")
    edit(files["m/alps/0.5"].manifest, lambda m: m["pruning"].update(dtype="float32"))
    message = (
        f"{mixed.sentence(cells(files))} Delete the fewer, m/wanda/0.6 below evaluations; "
        "m/alps/0.5 below pruned, hardened and evaluations, and run again on the kind of machine "
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        mixed.refuse_if_strict(cells(files))
    monkeypatch.setenv("LEAP_SUITE_STRICT", "0")
    mixed.refuse_if_strict(cells(files))
    assert mixed._named([f"m/wanda/0.{n}" for n in range(12)]).endswith("0.9 and 2 more")

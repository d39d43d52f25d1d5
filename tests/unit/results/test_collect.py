"""Collecting files of cells into frames: their contents, against slow sums, and refusals."""

import math
import re
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leap_suite.artifacts.files import write_json
from leap_suite.artifacts.items import write_items
from leap_suite.results.collect import Files, Shown, collect, collect_validations
from leap_suite.results.frame import COLUMNS, ITEM_COLUMNS, read_items
from tests.unit.results.example import (
    CHANCES,
    GENERATED,
    MANY,
    PACKAGES,
    TASKS,
    WITH_CHANCE,
    edit,
    ran,
    results,
    write,
)

CELL = "m/wanda/0.5"
VERSIONS = ", ".join(f"{name} {version}" for name, version in PACKAGES.items())


def by_measure(cells, tasks=TASKS):
    frame = results(cells, tasks).frame
    return frame[frame["method"] == "wanda"].set_index("measure")


# Contents


def test_the_frames_have_the_promised_columns_and_cells_in_the_given_order():
    cells = [ran("leap", model="b", seed=1), ran("dense", model="a"), ran("wanda", model="b")]
    found = results(cells)
    assert list(found.frame) == COLUMNS and list(found.items) == ITEM_COLUMNS
    place = found.cells[["model", "method", "sparsity", "seed"]].to_numpy().tolist()
    assert place == [["b", "leap", 0.5, 1], ["a", "dense", 0.0, 0], ["b", "wanda", 0.5, 0]]
    assert found.models == ["b", "a"]
    measures = [*("achieved_sparsity", "ppl", *TASKS, "shipped_bytes", "wall_seconds"),
                *("cpu_seconds", "average", "recovered_share")]  # fmt: skip
    assert found.frame["measure"].tolist()[:13] == measures
    assert not found.frame.duplicated(["model", "method", "sparsity", "seed", "measure"]).any()


def test_measures_have_their_units_errors_and_items():
    tasks = {**TASKS, "mmlu": {"title": "MMLU", "acc_norm": 0.31}}
    cell = ran("wanda", 0.57, 12.25, achieved=0.4999, in_domain=30.0, wall=3.5)
    found = by_measure([cell], tasks)
    for measure, expected in {
        "piqa": [57, 3, "percent", "PIQA"],
        "mmlu_norm": [31, math.nan, "percent", "MMLU (norm)"],
        "ppl": [12.25, 0.1225, "perplexity", "ppl"],
        "in_domain_ppl": [30, 0.3, "perplexity", "in_domain_ppl"],
        "achieved_sparsity": [0.4999, math.nan, "fraction", "achieved_sparsity"],
        "shipped_bytes": [125, math.nan, "bytes", "shipped_bytes"],
        "wall_seconds": [3.5, math.nan, "seconds", "wall_seconds"],
        "average": [57, 3 / math.sqrt(6), "percent", "Average"],
    }.items():
        row = found.loc[measure, ["value", "stderr", "unit", "title"]].tolist()
        assert row[:2] == pytest.approx(expected[:2], nan_ok=True) and row[2:] == expected[2:]
    assert found["items"]["piqa"] == 100 and found["task"]["piqa"] == "piqa"
    assert found["averaged"][found["averaged"]].index.tolist() == list(TASKS)
    generated = by_measure([ran("wanda")], GENERATED)
    assert generated.loc["piqa", ["title", "task"]].tolist() == ["mini-PIQA", "mini_piqa"]


def test_a_cell_has_its_provenance(tmp_path):
    cells = [ran("dense"), ran("coin", implementation="random-mask"), ran("wanda")]
    files = write(tmp_path, cells)
    edit(files["m/coin/0.5"].evaluation, lambda e: e["provenance"].update(gpu="H200", dtype="f4"))
    # a method with a rule of its own
    edit(files[CELL].manifest, lambda m: m["pruning"].pop("device"))
    edit(files[CELL].evaluation, lambda e: e["provenance"]["packages"].pop("torch"))
    found = collect(files, Shown(TASKS, {"coin": "2:4", "dense": "dense"})).cells
    columns = ["implementation", "pattern", "pruning_dtype", "dtype", "asked_dtype", "device",
               "commit", "control"]  # fmt: skip
    dense, coin, _ = found[columns].to_numpy().tolist()
    assert dense == ["", "dense", "", "bfloat16", "bfloat16", "cpu", "abc", False]
    assert coin == ["random-mask", "2:4", "bfloat16", "f4", "bfloat16", "H200", "abc", True]
    assert found["versions"].tolist()[1:] == [VERSIONS, VERSIONS.replace("2.11.0", "unknown")]
    assert found["hardening_versions"][1] + ", lm-eval 0.4.13" == VERSIONS
    assert found["pruning_dtype"][2] == "unknown"


def test_a_cell_without_provenance_is_read_and_known_by_its_name(tmp_path):
    files = write(tmp_path, [ran("random-mask-2-4", sparsity="0.5")])
    (of,) = files.values()
    edit(of.evaluation, lambda e: e.pop("provenance"))
    edit(of.manifest, lambda m: m["pruning"].update(cost={"wall_time_seconds": 1.0}))
    (cell,) = collect(files, Shown(TASKS)).cells.to_dict("records")
    assert cell["dtype"] == "unknown" and cell["implementation"] == "" and cell["control"]
    assert "cpu_seconds" not in cell


def test_settings_decide_which_tasks_count_in_the_average():
    accuracies = [0.6, 0.5, 0.4, 0.5, 0.3, 0.25, 0.2, 25.5]
    cells = [ran("dense", [0.9] * 7 + [9.0]), ran("wanda", accuracies)]
    found = by_measure(cells, MANY)
    assert found["value"]["average"] == pytest.approx(100 * sum(accuracies[:7]) / 7)
    assert found.loc["lambada", ["value", "stderr", "unit"]].tolist() == [25.5, 0.7, "perplexity"]
    assert math.isnan(found["value"]["recovered_share"]), "GSM8K has no chance"
    *_, gsm8k, lambada = results(cells, MANY).tasks
    assert (gsm8k.fewshot, gsm8k.metric, gsm8k.share, gsm8k.averaged) == (5, "exact_match", 1, 1)
    assert (lambada.share, lambada.averaged) == (False, False)


SHARES = st.integers(0, 20).map(lambda right: right / 20)
ACCURACIES = st.lists(SHARES, min_size=6, max_size=6)


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["dense", "wanda", "leap"])),
        ACCURACIES, min_size=1, max_size=6,
    ),
    st.sampled_from(["", "piqa"]),
)  # fmt: skip
def test_averages_errors_and_shares_are_those_of_slow_sums(accuracies, unknown):
    """A share is of the distance from chance that the same model has undamaged."""
    tasks = {
        name: {**task, **({} if name == unknown else {"chance": CHANCES[name]}), "stderr": 0.01 * n}
        for n, (name, task) in enumerate(TASKS.items())
    }
    cells = [ran(method, values, model=model) for (model, method), values in accuracies.items()]
    found = results(cells, tasks).cells.set_index(["model", "method"])
    chance = sum(CHANCES.values()) / 6
    for place, values in accuracies.items():
        average, dense = sum(values) / 6, accuracies.get((place[0], "dense"))
        assert found["average"][place] == pytest.approx(100 * average)
        error = math.sqrt(sum(n**2 for n in range(6))) / 6
        assert found["average_stderr"][place] == pytest.approx(error)
        above = sum(dense) / 6 - chance if dense else 0
        share = found["recovered_share"][place]
        if unknown or above <= 1e-9:
            assert math.isnan(share) or abs(above) < 1e-9
        else:
            # neither cut at zero nor at a hundred
            assert share == pytest.approx(100 * (average - chance) / above)


def test_recovered_shares_are_over_the_random_mask_where_every_place_has_one():
    cells = [ran("dense", 0.9), ran("coin", 0.5, implementation="random-mask"), ran("leap", 0.8)]
    found = results(cells, WITH_CHANCE).cells.set_index("method")["recovered_share"]
    assert found.to_dict() == pytest.approx({"dense": 100, "coin": 0, "leap": 75})
    rounded = [*cells, ran("rounding-8", 0.9, sparsity="0.0")]
    found = results(rounded, WITH_CHANCE).cells.set_index("method")["recovered_share"]
    assert found["leap"] == pytest.approx(75) and math.isnan(found["rounding-8"]), "no mask"
    elsewhere = [*cells, ran("leap", 0.8, sparsity="0.6")]
    shares = results(elsewhere, WITH_CHANCE).cells.set_index(["method", "sparsity"])
    above = 100 * (0.8 - 1 / 3) / (0.9 - 1 / 3)  # chance, for all cells of the table alike
    assert shares["recovered_share"].loc["leap"].tolist() == pytest.approx([above, above])


ANSWERS = st.lists(st.integers(0, 1), min_size=4, max_size=4)


@settings(max_examples=25, deadline=None)
@given(st.lists(ANSWERS, min_size=4, max_size=4), st.lists(ANSWERS, min_size=4, max_size=4))
def test_flips_are_counted_by_hand(dense, pruned):
    """Over tasks that count; in either direction, so that the average may stay the same."""
    tasks = {name: dict(TASKS[name]) for name in ("piqa", "arc_easy", "mmlu")}
    tasks["lambada"] = MANY["lambada"]
    cells = [ran("dense", right=dense), ran("wanda", right=pruned)]
    found = results(cells, tasks).cells.set_index("method")["flips"]
    flipped = [a != b for ours, theirs in zip(dense[:3], pruned[:3], strict=True)
               for a, b in zip(ours, theirs, strict=True)]  # fmt: skip
    assert found["wanda"] == pytest.approx(100 * sum(flipped) / 12)
    assert math.isnan(found["dense"])
    assert "flips" not in results([cells[1]], tasks).cells, "nothing to compare with"


def test_the_average_by_normalised_accuracy_has_it_where_a_task_does():
    tasks = {name: dict(TASKS[name]) for name in ("piqa", "arc_easy")}
    right = [[1, 1, 0, 0], [1, 0, 0, 0]]
    found = results([ran("wanda", right=right, normed={"piqa": [1, 1, 1, 0]}, kl=0.25)], tasks)
    assert found.cells["average"].item() == pytest.approx((50 + 25) / 2)
    assert found.cells["average_norm"].item() == pytest.approx((75 + 25) / 2)
    assert found.cells[["kl", "kl_stderr"]].to_numpy().tolist() == [[0.25, 0.025]]
    scores = found.scores_of("m", 0.5, "wanda", norm=True).groupby("measure").mean()[0]
    assert scores.to_dict() == {"piqa": 0.75, "arc_easy": 0.25}
    without = results([ran("wanda", right=right)], tasks)
    assert "average_norm" not in without.cells and not len(without.norm_scores)


# Refusals

MALFORMED = {
    "no perplexity": (lambda e: e.pop("perplexity"), "perplexity must be set"),
    "perplexity of nothing": (lambda e: e["perplexity"].update(value=0), "perplexity.value"),
    "sparsity is a number": (lambda e: e.update(sparsity=0.5), "sparsity"),
    "seed is text": (lambda e: e.update(seed="0"), "seed"),
    "accuracy in percent": (lambda e: e["tasks"]["piqa"].update(acc=71.0), "tasks.piqa.acc"),
    "no stderr": (lambda e: e["tasks"]["piqa"].update(acc_stderr="N/A"), "tasks.piqa.acc_stderr"),
    "no score": (lambda e: e["tasks"]["mmlu"].pop("acc"), "tasks.mmlu has no acc"),
    "another seed": (lambda e: e.update(seed=1), f"belongs to {CELL}/seed-1, not to {CELL}"),
    "dense": (lambda e: e.update(method="dense"), "belongs to m/dense/0.5, not to"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_and_foreign_evaluations_are_refused_by_name(tmp_path, change, message):
    files = write(tmp_path, [ran("wanda")])
    edit(files[CELL].evaluation, change)
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        collect(files, Shown(TASKS))
    assert str(files[CELL].evaluation) in str(caught.value)


@pytest.mark.parametrize("kind", ["evaluation", "manifest", "items"])
@pytest.mark.parametrize("content", [None, b"[]", b"{"])
def test_missing_and_damaged_files_are_refused_by_name(tmp_path, kind, content):
    files = write(tmp_path, [ran("wanda")])
    file = getattr(files[CELL], kind)
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    told = "is damaged" if content else "does not exist"
    with pytest.raises(ValueError, match=f"{re.escape(str(file))} {told}"):
        collect(files, Shown(TASKS))


def test_every_changed_byte_of_items_is_noticed(tmp_path):
    (of,) = write(tmp_path, [ran("wanda", right=[[1, 0]])], {"piqa": {}}).values()
    whole = of.items.read_bytes()
    for place in range(10, len(whole)):
        of.items.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        with pytest.raises(ValueError, match="is damaged"):
            read_items(of.items)


def test_items_have_to_be_those_of_the_tasks_that_count(tmp_path):
    tasks = {"piqa": {}, "f1": {"averaged": False}}
    files = write(tmp_path, [ran("wanda", right=[[1, 0], [1, 0]])], tasks)
    write_items({"piqa": {"piqa": {0: 1, 1: 0}}}, files[CELL].items)
    assert len(collect(files, Shown(tasks)).items) == 2
    write_items({"piqa": {"piqa": {0: 1}}, "f1": {"f1": {0: 1, 1: 0}}}, files[CELL].items)
    with pytest.raises(ValueError, match=r"items\.csv\.gz has 1 items of piqa, of which 2 w"):
        collect(files, Shown(tasks))


@pytest.mark.parametrize(
    "change",
    [{"task": "piqa_2"}, {"version": "2"}, {"samples": 99}, {"fewshot": 5}, {"chance": 0.2},
     {"acc_norm": 0.4}, {"metric": "acc_norm", "acc_norm": 0.4}],
)  # fmt: skip
def test_cells_that_answered_other_questions_are_refused(tmp_path, change):
    cells = [ran("wanda"), ran("leap")]
    files = {p: Files(of.evaluation) for p, of in write(tmp_path, cells, WITH_CHANCE).items()}
    edit(files["m/leap/0.5"].evaluation, lambda e: e["tasks"]["piqa"].update(change))
    named = r"leap/0\.5/.* and .*wanda/0\.5/.* answered .*piqa.* in different ways"
    with pytest.raises(ValueError, match=named):
        collect(files, Shown(TASKS))


def test_an_evaluation_of_other_settings_is_refused_with_what_differs(tmp_path):
    files = write(tmp_path, [ran("wanda")])
    recipe = {"masks": {"method": {"budget": "row", "steps": [1, 2]}, "code": "a" * 16}}
    recipes = dict.fromkeys(files, recipe)
    with pytest.raises(ValueError, match="made with other settings or code"):
        collect(files, Shown(TASKS), recipes)
    file = files[CELL].evaluation
    edit(file, lambda e: e["provenance"].update(recipe=recipe))
    assert len(collect(files, Shown(TASKS), recipes).cells) == 1
    other = {"masks": {"method": {"budget": "layer", "steps": [1, 2]}, "code": "b" * 16}}
    with pytest.raises(ValueError) as caught:
        collect(files, Shown(TASKS), {CELL: other})
    assert str(caught.value) == (
        f"{file} was made with other settings or code than this run's: masks.method.budget was "
        "'row', now 'layer'; masks.code was aaaaaaaa, now bbbbbbbb. Delete it and run again, or "
        "give this run a name of its own: run=NAME"
    )
    with pytest.raises(ValueError, match=rf"json: {CELL} is not a cell of this run"):
        collect(files, Shown(TASKS), {"m/leap/0.5/seed-1": recipe})
    edit(file, lambda e: e["provenance"].pop("recipe"))
    with pytest.raises(ValueError, match=r"evaluation\.json has no record of the settings"):
        collect(files, Shown(TASKS), recipes)


# Validation studies


def test_validations_are_frames_of_perplexities_checked_like_evaluations(tmp_path):
    files, recipes = {}, {}
    for method, value in (("a", 9.5), ("b", 7)):
        path, file = f"m/{method}/0.6", tmp_path / f"{method}.json"
        files[path], recipes[path] = file, {"of": method}
        content = {"model": "m", "method": method, "sparsity": "0.6", "seed": 0, "dtype": "f2"}
        write_json(file, {**content, "perplexity": {"value": value}, "recipe": recipes[path]})
    found = collect_validations(files, Shown({}, {"b": "2:4"}), recipes)
    assert list(found.frame) == COLUMNS and not len(found.items) and found.tasks == []
    assert found.perplexities == ["validation_ppl"]
    columns = ["validation_ppl", "pattern", "dtype"]
    assert found.cells[columns].to_numpy().tolist() == [[9.5, "", "f2"], [7, "2:4", "f2"]]
    with pytest.raises(ValueError, match=r"b\.json was made with other settings"):
        collect_validations(files, Shown({}), {**recipes, "m/b/0.6": {"of": "a"}})
    shutil.copy(files["m/a/0.6"], files["m/b/0.6"])
    with pytest.raises(ValueError, match=r"b\.json belongs to m/a/0\.6, not to m/b/0\.6"):
        collect_validations(files, Shown({}))

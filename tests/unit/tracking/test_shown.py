"""How runs look in MLflow: names, layers' table, an evaluation's summary as in the tables."""

import shutil
from pathlib import Path

import pytest

from suite.artifacts.files import read_json, write_json
from suite.tables import evaluations
from suite.tables.recovered import recovered_shares
from suite.tracking.journal import Journal, Point, Record, read_journal
from suite.tracking.shown import TASKS, charted, layer_table, run_name, summary

EVALUATIONS = Path(__file__).parents[3] / "results/examples/claim/evaluations"
DENSE, LEAP, OTHER_SEED = (
    f"smollm2-135m/{cell}" for cell in ("dense/0.0", "leap/0.6", "leap/0.6/seed-1")
)
TAGS = {
    "stage": "evaluate",
    "run": "paper",
    "model": "llama-3.2-1b",
    "method": "leap",
    "sparsity": "0.6",
    "seed": "0",
    "group": "paper/llama-3.2-1b/leap/0.6/0",
}


@pytest.mark.parametrize(
    ("tags", "name"),
    [
        (TAGS, "llama-3.2-1b leap 0.6 evaluate"),
        ({**TAGS, "stage": "train", "seed": "1"}, "llama-3.2-1b leap 0.6 train seed 1"),
        ({"stage": "prune"}, "prune"),
    ],
)
def test_a_runs_name(tags: dict[str, str], name: str) -> None:
    assert run_name(tags) == name


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A run's folder with real evaluations."""
    for cell in (DENSE, LEAP, OTHER_SEED):
        target = tmp_path / "evaluations" / f"{cell}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(EVALUATIONS / f"{cell}.json", target)
    return tmp_path


def evaluated(results: Path, cell: str) -> Record:
    """The journal of an evaluation, as the job writes it."""
    file = results / "evaluations" / f"{cell}.json"
    found = read_json(file)
    tags = {key: str(found[key]) for key in ("model", "method", "sparsity", "seed")}
    scores = {name: 100 * task["acc"] for name, task in found["tasks"].items()}
    path = results / "journals/evaluate" / f"{cell}.jsonl"
    with Journal(path, tags={"stage": "evaluate", **tags}, params={}) as journal:
        journal.metrics({"ppl": found["perplexity"]["value"], **scores})
        journal.artifact(file)
    return read_journal(path)


def values(record: Record) -> dict[str, float]:
    return {point.name: point.value for point in summary(record)}


@pytest.mark.parametrize("cell", [DENSE, LEAP, OTHER_SEED])
def test_an_evaluation_is_summed_up_as_in_the_tables(results: Path, cell: str) -> None:
    files = [results / "evaluations" / f"{each}.json" for each in (cell, DENSE)]
    read = evaluations.read_cells(files[:1] if cell == DENSE else files)
    assert values(evaluated(results, cell)) == pytest.approx(
        {"average": read[0].average, "recovered_share": recovered_shares(read)[0]}
    )


@pytest.mark.parametrize(
    "changed",
    [{"chance": 1.0, "acc": 0.9}, {"chance": 0.5, "acc": 0.5}, {"acc": 0.5}],
    ids=["below chance", "at chance", "chance was not recorded"],
)
def test_no_share_where_the_dense_model_gives_none(
    results: Path, changed: dict[str, float]
) -> None:
    record, dense = evaluated(results, LEAP), results / "evaluations" / f"{DENSE}.json"
    write_json(dense, {**read_json(dense), "tasks": dict.fromkeys(TASKS, changed)})
    assert values(record).keys() == {"average"}


def test_no_share_without_an_evaluation_of_the_dense_model(results: Path) -> None:
    record = evaluated(results, LEAP)
    (results / "evaluations" / f"{DENSE}.json").unlink()
    assert values(record).keys() == {"average"}


def test_no_summary_of_other_jobs_and_of_an_evaluation_that_failed(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.jsonl", tags=TAGS, params={}) as journal:
        journal.metrics({"wall_time_seconds": 1.0, "piqa": 50.0})
    assert summary(read_journal(journal.path)) == []


def test_the_tasks_are_those_of_the_tables() -> None:
    assert TASKS == evaluations.TASKS


def test_perplexity_is_called_so() -> None:
    points = [Point(name, 7.0, 1, 0) for name in ("ppl", "in_domain_ppl", "loss")]
    names = [point.name for point in charted(points)]
    assert names == ["perplexity", "perplexity_in_domain", "loss"]


def test_densities_of_layers_are_a_table_and_no_charts() -> None:
    points = [
        Point(name, value, step + 1000, step)
        for step, value in ((0, 1.0), (12, 0.5))
        for name in ("density", "density/layers.0.q", "density/layers.0.k", "lm_loss")
    ]
    # a step that was repeated after an interruption, and one that has not all
    points += [Point("density/layers.0.q", 0.25, 2000, step) for step in (12, 24)]
    assert {point.name for point in charted(points)} == {"density", "lm_loss"}
    assert layer_table(points) == "layer,0,12,24\nlayers.0.q,1.0,0.25,0.25\nlayers.0.k,1.0,0.5,\n"
    assert layer_table(charted(points)) == ""

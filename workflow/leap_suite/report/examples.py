"""Tracked results in results/examples: written by rule `examples`, read for documents and tests."""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from leap_suite.artifacts.files import replacing, write_text
from leap_suite.places import ROOT
from leap_suite.plan import grid, tasks
from leap_suite.plan.config import load, scale_settings
from leap_suite.plan.subject import judged
from leap_suite.results.collect import Files, Shown, collect
from leap_suite.results.frame import Results
from leap_suite.tables.caption import titled
from leap_suite.tables.context import Context
from leap_suite.tables.registry import table
from leap_suite.tables.text import lines_text

EXAMPLES = ROOT / "results/examples"


def write_examples(
    scale: str,
    made_by: str,
    results: Results,
    files: Sequence[Path],
    target: Path,
    root: Path = Path(),
    kept: Sequence[Path] = (),
) -> None:
    """Copy `files` into `target`, with a README that names commits and machines.

    `made_by` is the target that makes them, `results` are the results they show. `kept` are
    further files, copied with their paths below `root`: the sources of tables of real tasks.
    """
    cells = results.cells
    with replacing(target) as folder:
        folder.mkdir()
        for file in files:
            shutil.copy(file, folder / file.name)
        for path in kept:
            copy = folder / path.relative_to(root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
        lines = [f"# {titled(f'Results of scale `{scale}`', results.generated)}", ""]
        lines += [f"{len(cells)} checkpoints, evaluated by the suite at", ""]
        lines += [f"- commit `{commit}`" for commit in cells["commit"].unique()]
        lines += ["", "on", ""]
        machines = cells[["device", "dtype", "versions"]].agg(", ".join, axis="columns")
        lines += [f"- {machine}" for machine in machines.unique()]
        lines += ["", f"Made by `snakemake --cores 1 {made_by}`; never edited by hand."]
        write_text(folder / "README.md", lines_text(lines))


def tracked(run: str, cells: Iterable[str]) -> Results:
    """Results of tracked cells, by their paths, without a check of their recipes."""
    files, folder = {}, EXAMPLES / run
    for cell in cells:
        found = folder / f"hardened/{cell}/manifest.json"
        manifest = found if found.is_file() else None
        answers = folder / f"items/{cell}.csv.gz"
        files[cell] = Files(folder / f"evaluations/{cell}.json", answers, manifest)
    return collect(files, Shown(tasks.shown(scale_settings(run))))


def tables_of(run: str) -> dict[Path, str]:
    """The grid's tables in results/examples, computed from the run's tracked evaluations."""
    settings = load({"scale": run, "hub_mirror": ""})
    results = tracked(run, (cell.path for cell in grid.cells(settings)))
    context = Context(scale=run, about=settings["about"], **judged(settings))
    texts = {name: table(name)(results, context) for name in ("main", "headline", "verdict")}
    kept = [("main", "csv"), ("main", "md"), ("headline", "json"), ("verdict", "md")]
    return {EXAMPLES / run / f"{name}.{form}": texts[name][form] for name, form in kept}

"""A scale's tables and figures as they are kept in the repository, with where they come from."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from suite.artifacts.files import replacing, write_text
from suite.results.frame import Results
from suite.tables.generated import titled
from suite.tables.text import lines_text


def write_examples(
    scale: str,
    made_by: str,
    results: Results,
    files: Sequence[Path],
    target: Path,
    kept: Mapping[Path, Sequence[Path]] | None = None,
) -> None:
    """Copy `files` into `target`, and say on which commits and machines they were measured.

    `made_by` is the target that makes them, `results` are those that the files show. `kept` has
    more files by the folder they lie below, whose layout they keep: of a run on real tasks, what
    its tables can be made from again.
    """
    cells = results.cells
    with replacing(target) as folder:
        folder.mkdir()
        for file in files:
            shutil.copy(file, folder / file.name)
        for root, paths in (kept or {}).items():
            for path in paths:
                copy = folder / path.relative_to(root)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, copy)
        lines = [f"# {titled(f'Results of scale `{scale}`', results.generated)}", ""]
        lines.append(f"{len(cells)} checkpoints, evaluated by the suite at")
        lines += ["", *_distinct(f"commit `{commit}`" for commit in cells["commit"])]
        machines = zip(cells["device"], cells["dtype"], cells["versions"], strict=True)
        lines += ["", "on", "", *_distinct(", ".join(machine) for machine in machines)]
        lines += ["", f"Made by `snakemake --cores 1 {made_by}`; never edited by hand."]
        write_text(folder / "README.md", lines_text(lines))


def _distinct(texts: Iterable[str]) -> list[str]:
    return [f"- {text}" for text in dict.fromkeys(texts)]

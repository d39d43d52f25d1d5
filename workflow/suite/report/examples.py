"""A scale's tables and figures as they are kept in the repository, with where they come from."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from suite.artifacts.files import read_json, replacing
from suite.tables.evaluations import read_cells
from suite.tables.generated import any_generated, titled
from suite.tables.main import write_lines


def write_examples(
    scale: str,
    made_by: str,
    files: Sequence[Path],
    evaluations: Sequence[Path],
    target: Path,
    kept: Mapping[Path, Sequence[Path]] | None = None,
) -> None:
    """Copy `files` into `target`, and say on which commits and machines they were measured.

    `made_by` is the name of the rule. `kept` has more files by the folder they lie below, whose
    layout they keep: of a run on real tasks, what its tables can be made from again.
    """
    provenance = [read_json(path)["provenance"] for path in evaluations]
    with replacing(target) as folder:
        folder.mkdir()
        for file in files:
            shutil.copy(file, folder / file.name)
        for root, paths in (kept or {}).items():
            for path in paths:
                copy = folder / path.relative_to(root)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, copy)
        generated = any_generated(read_cells(evaluations))
        lines = [f"# {titled(f'Results of scale `{scale}`', generated)}", ""]
        lines.append(f"{len(evaluations)} checkpoints, evaluated by the suite at")
        lines += ["", *_distinct(f"commit `{p['git_commit']}`" for p in provenance)]
        lines += ["", "on", "", *_distinct(_machine(p) for p in provenance)]
        lines += ["", f"Made by `snakemake --cores 1 {made_by}`; never edited by hand."]
        write_lines(folder / "README.md", lines)


def _distinct(texts: Iterable[str]) -> list[str]:
    return [f"- {text}" for text in dict.fromkeys(texts)]


def _machine(provenance: dict) -> str:
    packages = provenance["packages"]
    device = provenance["gpu"] or provenance["device"]
    return (
        f"{device}, {provenance['dtype']}, {provenance['threads']} threads, "
        f"{provenance['platform']}, Python {provenance['python']}, torch {packages['torch']}, "
        f"transformers {packages['transformers']}, lm-eval {packages['lm-eval']}"
    )

"""What already stands in a run's folder, before anything is made there: said, or refused.

Finished trainings are worth hours, and a table must not shrink unnoticed.
"""

from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from suite.artifacts.files import read_json
from suite.artifacts.recorded import differences, summary
from suite.plan.cell import Cell
from suite.plan.config import ConfigError
from suite.plan.recipe import Recipes

_HOURS = 1.0  # of training that are made again without being asked for
_RECORDS = Path(".snakemake")
_WAYS_ON = "give this run a name of its own, run=NAME, or say replace=true"


@dataclass(frozen=True)
class Remade:
    """A finished training that a run makes again: why, and the hours that it took."""

    cell: Cell
    why: str
    hours: float


def refuse_unrecorded(evaluations: Mapping[Cell, str], recipes: Recipes) -> None:
    """Raise ConfigError for an evaluation of other settings that Snakemake has no record of.

    With its records Snakemake compares settings and makes such a cell again; without them, as in
    a folder that was copied alone, it would take every file that is there for up to date.
    """
    if any(_RECORDS.glob("*.db")):  # Snakemake's other way of keeping records, in one file
        return
    for cell, path in evaluations.items():
        if not Path(path).is_file() or _is_recorded(path):
            continue
        recorded = read_json(path).get("provenance", {}).get("recipe", {})
        if others := differences(recorded, recipes.evaluation(cell)):
            raise ConfigError(
                f"{path} was made with other settings or code than this run's: "
                f"{summary(others)}. Snakemake has no record of it (.snakemake), so nothing would "
                "be made again. Give this run a name of its own, run=NAME, or delete the folder"
            )


def left_out(results: Path, cells: Iterable[Cell]) -> str:
    """One line on finished cells in the folder `results` that are none of `cells`, or ""."""
    wanted = {f"{cell.path}.json" for cell in cells}
    folder = results / "evaluations"
    held = {file.relative_to(folder).as_posix() for file in folder.rglob("*.json")}
    others = len(held - wanted)
    if not others:
        return ""
    return (
        f"{results} holds {others} finished cell{'s' * (others > 1)} that this grid leaves out: "
        "its tables and figures will be without them. To keep both, name this run: run=NAME"
    )


def remade(results: Path, trainings: Mapping[Cell, str], recipes: Recipes) -> list[Remade]:
    """The finished ones among `trainings`, cells that are about to be trained and the reason."""
    found = []
    for cell, reason in trainings.items():
        folder = results / "pruned" / cell.path  # of masks that were learned, or of weights
        reports = [folder / name for name in ("training.json", "pruning.json")]
        for file in filter(Path.is_file, reports):
            report = read_json(file)
            others = differences(report.get("recipe", {}), recipes.masks(cell))
            hours = report["cost"].get("training_seconds", 0.0) / 3600
            found.append(Remade(cell, summary(others) or reason, hours))
    return found


def announce(found: Iterable[Remade], replace: bool) -> list[str]:
    """What to say of trainings that are made again, one line each.

    Raises ConfigError where they took more than an hour and `replace` does not allow it.
    """
    found = list(found)
    lines = [
        f"makes a finished training again: {one.cell.path} ({one.hours:.2f} h), since {one.why}"
        for one in found
    ]
    hours = sum(one.hours for one in found)
    if hours > _HOURS and not replace:
        first = f"this would make finished trainings of {hours:.1f} hours again:"
        raise ConfigError("\n".join([first, *lines, f"To go on, {_WAYS_ON}"]))
    return lines


def _is_recorded(path: str) -> bool:
    """Whether Snakemake has a record of this output: as a file that is named after it."""
    name = urlsafe_b64encode(path.encode()).decode()
    folder = _RECORDS / "metadata"
    longest = 254
    parts = [name[i : i + longest] for i in range(0, len(name), longest)]
    return folder.joinpath(*[f"@{part}" for part in parts[:-1]], parts[-1]).is_file()

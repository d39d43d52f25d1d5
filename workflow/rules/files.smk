# Paths of results, by cell and by study.

# outputs of methods that write weights
NEW_WEIGHTS = {
    "weights": f"{RESULTS}/pruned/{CELL}/weights.safetensors",
    "mask": f"{RESULTS}/pruned/{CELL}/mask.safetensors",
    "report": f"{RESULTS}/pruned/{CELL}/pruning.json",
}


def of_each(cells, pattern):
    """A file of every cell."""
    return [f"{RESULTS}/{pattern.format(cell.path)}" for cell in cells]


def hardened_of(cells, name):
    """One file of every cell's checkpoint."""
    return of_each(cells, f"hardened/{{}}/{name}")


def manifests_of(cells):
    """The manifest of every pruned cell."""
    return hardened_of([cell for cell in cells if cell.method != DENSE], "manifest.json")


def pruned(cell, *names):
    """Files that the method of a cell wrote."""
    return [f"{RESULTS}/pruned/{cell.path}/{name}" for name in names]


def lasting(path, kind):
    """An output that is deleted after its last use if `keep` says so."""
    return path if config["keep"][kind] else temp(path)


def formats(figure):
    """A figure in each of its formats."""
    return [f"{RESULTS}/figures/{figure}.{suffix}" for suffix in ("svg", "pdf", "png")]


def files_of_table(name, function):
    """A table in each of its formats."""
    return [f"{RESULTS}/tables/{name}.{form}" for form in TABLES[function].formats]


def files_of_study(study):
    """The tables of a study for readers, and its figures."""
    section = studies.section(study, config)
    tables = [file for file in files_of_table(study, section["table"]) if not file.endswith(".tex")]
    return tables + [formats(figure)[0] for figure in studies.figures_of(study, config)]


def frames_of(study):
    """The two frames of a study, or of the grid ("")."""
    folder = f"{RESULTS}/studies/{study}" if study else RESULTS
    return {"frame": f"{folder}/results.parquet", "answers": f"{folder}/items.parquet"}


# one cell of every model, sparsity and pattern, since speed does not depend on which weights are
# kept
MEASURED = {}
for cell in CELLS:
    MEASURED.setdefault((cell.model, cell.sparsity, PATTERNS[cell.method]), cell)
SPEEDS = of_each(MEASURED.values(), "speed/{}.json")


def shown_of(name):
    """Inputs of a table or figure of the grid."""
    return {**frames_of(""), **({"speeds": SPEEDS} if name == "speed" else {})}

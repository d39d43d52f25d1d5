"""Quality against many sparsities: the figure of quality, of the sweep's cells."""

from pathlib import Path

from suite.figures.quality import quality


def sweep(main_csv: Path, outputs: list[Path], note: str) -> None:
    """Draw as `suite.figures.quality.quality` does."""
    quality(main_csv, outputs, note)

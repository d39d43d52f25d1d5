"""What tests of figures share."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from matplotlib.figure import Figure

from suite.figures.style import save

FIGURES = (
    *("ablations", "agreement", "cost", "density", "gain"),
    *("patterns", "quality", "sweep", "tokens", "training"),
)


@contextmanager
def figures_kept() -> Iterator[list[Figure]]:
    """The figures that are saved, as matplotlib has them."""
    figures: list[Figure] = []

    def keep(figure, outputs, note):
        figures.append(figure)
        save(figure, outputs, note)

    with pytest.MonkeyPatch.context() as patch:
        for module in FIGURES:
            patch.setattr(f"suite.figures.{module}.save", keep)
        yield figures


@pytest.fixture
def drawn() -> Iterator[list[Figure]]:
    """The figures that a test saves."""
    with figures_kept() as figures:
        yield figures

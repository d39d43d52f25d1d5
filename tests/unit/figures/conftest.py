"""What tests of figures share."""

import pytest
from matplotlib.figure import Figure

from suite.figures.style import save

FIGURES = (
    *("ablations", "agreement", "cost", "density", "gain"),
    *("patterns", "quality", "sweep", "tokens", "training"),
)


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved, as matplotlib has them."""
    figures: list[Figure] = []

    def keep(figure, outputs, note):
        figures.append(figure)
        save(figure, outputs, note)

    for module in FIGURES:
        monkeypatch.setattr(f"suite.figures.{module}.save", keep)
    return figures

"""The one name of a cell, and back from a job's wildcards."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from leap_suite.plan.cell import Cell

NAMES = st.from_regex(r"[a-z][a-z0-9.-]{0,8}", fullmatch=True)


@given(NAMES, NAMES, st.floats(0.01, 0.99).map(lambda value: round(value, 3)), st.integers(0, 99))
def test_a_cell_comes_back_from_the_wildcards_of_its_path(model, method, sparsity, seed):
    cell = Cell.at(model, method, sparsity, seed)
    below = f"/seed-{seed}" if seed else ""
    wildcards = SimpleNamespace(model=model, method=method, sparsity=cell.sparsity, seed=below)
    assert Cell.of(wildcards) == cell
    assert Cell.PATTERN.format(**vars(wildcards)) == cell.path
    assert cell.target == sparsity

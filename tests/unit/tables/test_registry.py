"""Every table of the registry has its module, its function and its formats."""

import pytest

from suite.artifacts.files import write_json
from suite.results.collect import Shown, collect_validations
from suite.results.frame import Results
from suite.tables.context import Context
from suite.tables.registry import TABLES, table
from tests.unit.made import part_of
from tests.unit.results.example import ran, results

CONTEXT = Context(
    "test",
    kindred=("wanda",),
    opponents=("wanda",),
    study={"variants": {"base": "leap", "variants": {}}},
    points={"leap": {"method": "leap", "amount": "9 steps", "tokens": 9}},
    methods={"leap": {}},
)


@pytest.fixture
def every_result(tmp_path) -> dict[str, Results]:
    """Results that each table can be made of."""
    grid = results([ran("dense", 0.9), ran("wanda"), ran("leap", 0.6)])
    content = {"model": "m", "method": "leap", "sparsity": "0.5", "seed": 0}
    write_json(tmp_path / "leap.json", content | {"perplexity": {"value": 9.0}})
    validated = collect_validations({"m/leap/0.5": tmp_path / "leap.json"}, Shown({}))
    leap = part_of(grid, grid.cells["method"].eq("leap"))
    with_dense = part_of(grid, grid.cells["method"].ne("wanda"))
    return {"search": validated, "ablations": leap, "tokens": with_dense} | {
        name: grid for name in TABLES if name not in ("search", "ablations", "tokens")
    }


def test_every_table_is_a_function_of_its_name_and_gives_its_formats(every_result):
    for name, described in TABLES.items():
        texts = table(name)(every_result[name], CONTEXT)
        assert tuple(texts) == described.formats, name
        assert all(text.endswith("\n") and text.strip() for text in texts.values()), name

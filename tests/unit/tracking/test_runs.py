"""Content of a cell's MLflow run, and the address of the store."""

from pathlib import Path

import pytest

from leap_suite.plan.cell import Cell
from leap_suite.tracking.runs import Point, parameters, tags_of
from leap_suite.tracking.store import store_uri
from leap_suite.tracking.upload import layer_table


def test_tags() -> None:
    assert tags_of("paper", Cell("llama-3.2-1b", "leap", "0.6")) == {
        "run": "paper", "model": "llama-3.2-1b", "method": "leap", "sparsity": "0.6", "seed": "0",
        "mlflow.runName": "llama-3.2-1b leap 0.6",
        "evaluation": "results/paper/evaluations/llama-3.2-1b/leap/0.6.json",
        "checkpoint": "results/paper/hardened/llama-3.2-1b/leap/0.6",
    }  # fmt: skip
    assert tags_of("p", Cell.dense("m"))["checkpoint"] == "results/p/models/m"
    assert tags_of("p", Cell("m", "leap", "0.6", 1))["mlflow.runName"] == "m leap 0.6 seed 1"


def test_nested_settings_have_dotted_names() -> None:
    settings = {"tau": [1, 0.05], "cap": None, "calibration": {"text": {"sequences": 8}}}
    flat = {"tau": "[1, 0.05]", "cap": "None", "calibration.text.sequences": "8"}
    assert parameters(settings) == flat


def test_layer_densities_are_a_table() -> None:
    points = [
        Point(name, value, step + 1000, step)
        for step, value in ((0, 1.0), (12, 0.5))
        for name in ("density", "density/layers.10.q", "density/layers.2.k", "lm_loss")
    ]
    # a step that was repeated after an interruption, and one that has not all
    points += [Point("density/layers.10.q", 0.25, 2000, step) for step in (12, 24)]
    assert layer_table(points) == "layer,0,12,24\nlayers.10.q,1.0,0.25,0.25\nlayers.2.k,1.0,0.5,\n"
    assert layer_table(points[:1]) == ""


def test_the_address_of_the_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert store_uri() == f"sqlite:///{tmp_path}/results/mlflow.db"
    for uri in ("http://tracker:5000", "https://tracker/mlflow/", "sqlite:////home/a@b/m.db"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        assert store_uri() == uri


@pytest.mark.parametrize(
    "uri",
    [
        "mlruns", "file:///mlruns", "http://", "http:///path", "sqlite://", "sqlite:///",
        "sqlite:///:memory:", "postgresql://ada:s3cr@host/db", "http://ada:s3cr@host",
        "http://ada:s3cr/t@host", "http://a:s3cr#t@h",
    ],
)  # fmt: skip
def test_other_addresses_are_refused_without_printing_a_password(
    monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(ValueError, match=r"MLFLOW_TRACKING_URI: give sqlite:///<file> or") as error:
        store_uri()
    assert "s3cr" not in str(error.value)

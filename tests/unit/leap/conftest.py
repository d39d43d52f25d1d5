"""Settings of checkpoints that tests of resuming share."""

import pytest


@pytest.fixture
def every_step(monkeypatch):
    """With `save_seconds=0` a state is saved before every step, whatever that costs."""
    monkeypatch.setattr("leap.states.checkpoint._SAVING_SHARE", 1e9)

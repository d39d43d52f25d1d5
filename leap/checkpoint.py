"""A training's state: when it is saved, what belongs to it, and how it is taken up again."""

import time
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from leap import parallel
from leap.finite import refuse_non_finite
from leap.history import History
from leap.state import StateFolder

_SAVING_SHARE = 0.02  # of the time
_MOMENTS = ("exp_avg", "exp_avg_sq")


def part_name(sharding: bool) -> str:
    """The part of the state that this process writes: all of it, or its own share."""
    if parallel.shards(sharding):
        return f"{parallel.rank()}-of-{parallel.world_size()}"
    return "whole"


class Checkpoints:
    """The states of one training; without a folder nothing is saved.

    A state is all there is before a step: logits, both moments of AdamW, the metrics so far. It is
    saved at least `seconds` apart and for at most 2 % of the time.
    """

    def __init__(
        self,
        folder: StateFolder | None,
        logits: Mapping[str, nn.Parameter],
        optimiser: torch.optim.Optimizer,
        history: History,
        seconds: float,
        sharded: bool,
    ) -> None:
        self.folder = folder
        self.logits = logits
        self.optimiser = optimiser
        self.history = history
        self.seconds = seconds
        self.writes = sharded or parallel.rank() == 0
        self.device = parallel.to_local(next(iter(logits.values()))).device
        self.first_step = 0
        self.saved, self.cost = time.monotonic(), 0.0

    def save_if_due(self, step: int) -> None:
        """Save the state before `step`, in every process or in none."""
        apart = max(self.seconds, self.cost / _SAVING_SHARE)
        started = time.monotonic()
        due = self.folder is not None and started - self.saved >= apart
        if step > self.first_step and parallel.any_process(due):
            self.save(step)
            self.saved = time.monotonic()
            self.cost = self.saved - started

    def save(self, step: int) -> None:
        """Save the state before `step`. Raises ValueError for logits that are not finite."""
        if self.folder is None or not self.writes:
            return
        tensors = {"history": self.history.table[:step]}
        for name, logits in self.logits.items():
            moments = self.optimiser.state.get(logits, {})
            tensors[f"logits/{name}"] = parallel.to_local(logits)
            for moment in _MOMENTS:
                tensors[f"{moment}/{name}"] = parallel.to_local(
                    moments.get(moment, torch.zeros_like(logits))
                )
            refuse_non_finite(name, tensors[f"logits/{name}"])
        self.folder.save(step, tensors)

    @torch.no_grad()
    def restore(self) -> int:
        """Load the newest state that all processes have; return the step to go on with."""
        found = self._newest_of_all()
        if found is None:
            return 0
        step, tensors = found
        self.history.table[:step] = tensors["history"]
        for name, logits in self.logits.items():
            parallel.to_local(logits).copy_(tensors[f"logits/{name}"])
            state = self.optimiser.state[logits]
            state["step"] = torch.tensor(float(step), device=self.device)
            for moment in _MOMENTS:
                state[moment] = torch.zeros_like(logits)
                parallel.to_local(state[moment]).copy_(tensors[f"{moment}/{name}"])
        self.first_step = step
        self.saved = time.monotonic()
        return step

    def _newest_of_all(self) -> tuple[int, dict[str, Tensor]] | None:
        """The newest state of a step that every process has a state of; None in all alike."""
        if self.folder is None:
            return None
        found = self.folder.newest()
        common = parallel.all_reduce_min(found[0] if found else 0)
        if found and found[0] > common:
            found = self.folder.newest(below=common + 1)
        missing = common == 0 or found is None or found[0] != common
        return None if parallel.any_process(missing) else found

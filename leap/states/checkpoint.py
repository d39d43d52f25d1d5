"""Checkpointing of a training: when to save, what to save, how to resume."""

import time
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from leap.checks import refuse_non_finite
from leap.distributed import parallel
from leap.distributed.rows import Split
from leap.states.folder import StateFolder
from leap.states.history import History

_SAVING_SHARE = 0.02  # of the time
_MOMENTS = ("exp_avg", "exp_avg_sq")


class Checkpoints:
    """Checkpoints of one training; without a folder nothing is saved.

    A state is all there is before a step: what is `learned` (a `noun` each), both moments of AdamW,
    what is `buffers` besides, by kind, and the metrics so far. It is saved at least `seconds` apart
    and for at most 2 % of the time. If training is `sharded`, every process saves and loads its own
    rows of each tensor, as `splits` say, otherwise the first one saves all and all load it.
    """

    def __init__(
        self,
        folder: StateFolder | None,
        noun: str,
        learned: Mapping[str, nn.Parameter],
        buffers: Mapping[str, Mapping[str, Tensor]],
        splits: Mapping[str, Split],
        optimiser: torch.optim.Optimizer,
        history: History,
        seconds: float,
        sharded: bool,
    ) -> None:
        self.folder = folder
        self.noun = noun
        self.learned = learned
        self.buffers = buffers
        self.splits = splits
        self.optimiser = optimiser
        self.history = history
        self.seconds = seconds
        # which of the parts of a state this process has, and of how many
        self.place = (parallel.rank(), parallel.world_size()) if sharded else (0, 1)
        self.writes = sharded or parallel.rank() == 0
        self.device = next(iter(learned.values())).device
        self.first_step = 0
        self.saved, self.cost = time.monotonic(), 0.0

    def save_if_due(self, step: int) -> None:
        """Save the state before `step` if it is due, in every process or in none."""
        apart = max(self.seconds, self.cost / _SAVING_SHARE)
        started = time.monotonic()
        due = self.folder is not None and started - self.saved >= apart
        if step > self.first_step and parallel.any_process(due):
            self.save(step)
            self.saved = time.monotonic()
            self.cost = self.saved - started

    def save(self, step: int) -> None:
        """Save the state before `step`. Raises ValueError for non-finite parameters."""
        if self.folder is None or not self.writes:
            return
        tensors = {"history": self.history.table[:step]}
        for name, learned in self.learned.items():
            moments = self.optimiser.state.get(learned, {})
            tensors[f"{self.noun}s/{name}"] = learned
            for moment in _MOMENTS:
                tensors[f"{moment}/{name}"] = moments.get(moment, torch.zeros_like(learned))
            tensors |= {f"{kind}/{name}": buffer for kind, buffer in self._buffers(name)}
            refuse_non_finite(name, learned, self.noun)
        self.folder.save(step, tensors, *self.place)

    @torch.no_grad()
    def restore(self) -> int:
        """Load the newest state that is whole in all processes; return the step to resume at.

        It may be one that other processes have saved, more of them or fewer.
        """
        for step, processes in parallel.of_first(self.folder.steps() if self.folder else []):
            tensors = self._own(step, processes)
            if not parallel.any_process(tensors is None):
                self._load(step, tensors or {})
                return step
        return 0

    def _load(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        self.history.table[:step] = tensors["history"]
        for name, learned in self.learned.items():
            learned.copy_(tensors[f"{self.noun}s/{name}"])
            state = self.optimiser.state[learned]
            state["step"] = torch.tensor(float(step), device=self.device)
            for moment in _MOMENTS:
                state[moment] = torch.zeros_like(learned).copy_(tensors[f"{moment}/{name}"])
            for kind, buffer in self._buffers(name):
                buffer.copy_(tensors[f"{kind}/{name}"])
        self.first_step = step
        self.saved = time.monotonic()

    def _buffers(self, name: str) -> list[tuple[str, Tensor]]:
        return [(kind, every[name]) for kind, every in self.buffers.items() if name in every]

    def _own(self, step: int, processes: int) -> dict[str, Tensor] | None:
        """This process' part of a state saved by `processes`; None if a part is damaged.

        One after the other is read, so that there is room for one part, and as fast as it can be
        where the processes are the same as before.
        """
        assert self.folder is not None
        rank, now = self.place
        if processes == now:
            return self.folder.read(step, rank, processes)
        pieces: dict[str, list[Tensor]] = {}
        for other in range(processes):
            part = self.folder.read(step, other, processes)
            if part is None:
                return None
            pieces.setdefault("history", [part.pop("history")])  # the first one's
            for key, tensor in part.items():
                pieces.setdefault(key, []).append(self._overlap(key, tensor, other, processes))
        return {key: torch.cat(parts) for key, parts in pieces.items()}

    def _overlap(self, key: str, part: Tensor, other: int, processes: int) -> Tensor:
        """Rows of another process' part that belong to this process."""
        split = self.splits[key.split("/", 1)[1]]
        theirs, own = split.part(other, processes), split.part(*self.place)
        first, stop = max(theirs.start, own.start), min(theirs.stop, own.stop)
        return part[first - theirs.start : max(first, stop) - theirs.start].clone()

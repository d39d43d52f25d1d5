"""Execution settings of a training: memory and time, not what is learned."""

from dataclasses import dataclass

from leap.settings import Settings


@dataclass(frozen=True)
class Execution:
    """Settings that change a result only through the order of summation.

    A training may be taken up again under others.

    micro_batch: sequences that go through the model together in one process; it divides those that
        share a draw of the masks (`Settings.sequences_per_draw`). 0: as many as can.
    recompute: draw masks again for the backward pass instead of keeping them (LEAP always does on
        a GPU).
    checkpointing: keep no activations inside a decoder block, compute them again.
    sharding: split prunable weights, logits and optimiser state over the processes, by rows.
    """

    micro_batch: int = 0
    recompute: bool = False
    checkpointing: bool = False
    sharding: bool = False


def micro_batch_of(execution: Execution, settings: Settings, processes: int) -> int:
    """Micro-batch size in each process.

    Processes of a sharded training compute with the same masks, so their sequences share a draw;
    others take different micro-batches, of any draw. Raises ValueError where that does not come
    out even.
    """
    shared = settings.sequences_per_draw
    together = processes if execution.sharding else 1
    if shared % together:
        raise ValueError(
            f"sequences_per_draw is {shared}, but with sharding the sequences of all {processes} "
            "processes share a draw of the masks: choose a multiple of the processes, or no "
            "sharding"
        )
    most = shared // together
    chosen = execution.micro_batch or most
    if most % chosen:
        raise ValueError(
            f"micro_batch is {chosen}, which does not divide the {most} sequences that share a "
            "draw of the masks in a process (sequences_per_draw)"
        )
    micro_batches = settings.batch // chosen
    if micro_batches % processes:
        raise ValueError(
            f"batch / micro_batch is {micro_batches}, which {processes} processes cannot share "
            "evenly: choose a multiple"
        )
    return chosen


def micro_batch_of_batch(execution: Execution, batch: int, processes: int) -> int:
    """Micro-batch size of a training without mask sampling: any divisor of a process' batch.

    Raises ValueError where processes cannot share them evenly.
    """
    if batch % processes:
        raise ValueError(
            f"batch is {batch}, which {processes} processes cannot share evenly: choose a multiple"
        )
    most = batch // processes
    chosen = execution.micro_batch or most
    if most % chosen:
        raise ValueError(
            f"micro_batch is {chosen}, which does not divide the {most} sequences of a process"
        )
    return chosen

"""Execution settings of a training: memory and time, not what is learned."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Execution:
    """Settings that change a result only through the order of summation.

    A training may resume under other ones.

    micro_batch: sequences in one forward pass of one process; it divides the sequences that share a
        draw of the masks (`Settings.sequences_per_draw`). 0: as many as possible.
    recompute: draw masks again in the backward pass instead of keeping them (LEAP always does on
        a GPU).
    checkpointing: recompute the activations of decoder blocks in the backward pass.
    sharding: split prunable weights, logits and optimiser state over the processes, by rows.
    """

    micro_batch: int = 0
    recompute: bool = False
    checkpointing: bool = False
    sharding: bool = False


def micro_batch_of(
    execution: Execution, processes: int, batch: int, sequences_per_draw: int | None = None
) -> int:
    """Micro-batch size in each process.

    Processes of a sharded training compute with the same masks, so their sequences share a draw;
    others take different micro-batches, of any draw. `sequences_per_draw` is None where no masks
    are drawn: then all sequences of a process may go together. Raises ValueError for an uneven
    split.
    """
    if sequences_per_draw is None:
        shared, sharers = batch, processes
    else:
        shared, sharers = sequences_per_draw, processes if execution.sharding else 1
    if shared % sharers:
        raise ValueError(
            f"batch is {batch}, which {processes} processes cannot share evenly: choose a multiple"
            if sequences_per_draw is None
            else f"sequences_per_draw is {shared}, but with sharding the sequences of all "
            f"{processes} processes share a draw of the masks: choose a multiple of the "
            "processes, or no sharding"
        )
    most = shared // sharers
    chosen = execution.micro_batch or most
    if most % chosen:
        raise ValueError(
            f"micro_batch is {chosen}, which does not divide the {most} sequences of a process "
            f"({'batch' if sequences_per_draw is None else 'sequences_per_draw'})"
        )
    if batch // chosen % processes:
        raise ValueError(
            f"batch / micro_batch is {batch // chosen}, which {processes} processes cannot share "
            "evenly: choose a multiple"
        )
    return chosen

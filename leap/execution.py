"""How a training is computed: what its memory, and no result, depends on."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Execution:
    """How a training is computed, which changes nothing of what is learned but the order of sums.

    micro_batch: sequences that go through the model together in one process; divides
        sequences_per_draw; 0 takes as many as share a draw (and, with sharding, one process' share
        of them).
    recompute: draw masks again for the backward pass instead of keeping them (LEAP always does on
        a GPU).
    checkpointing: keep no activations inside a decoder block, compute them again.
    sharding: split weights, logits and optimiser state over the processes.
    """

    micro_batch: int = 0
    recompute: bool = False
    checkpointing: bool = False
    sharding: bool = False

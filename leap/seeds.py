"""Seeds from what they are for, so that nothing random depends on what came before."""

import hashlib
import struct


def noise_seed(*key: int) -> int:
    """A generator's seed from integers, well spread: equal keys, equal noise, on any process."""
    digest = hashlib.blake2b(struct.pack(f"<{len(key)}q", *key), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1

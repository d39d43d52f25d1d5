"""Seeds derived from their purpose, so that no random number depends on earlier ones."""

import hashlib
import struct


def noise_seed(*key: int) -> int:
    """Well-spread generator seed from integers; equal keys give equal noise in any process."""
    digest = hashlib.blake2b(struct.pack(f"<{len(key)}q", *key), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1

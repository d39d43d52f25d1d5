"""Pruned models that take the bytes of their kept weights, on disk, in memory and in products."""

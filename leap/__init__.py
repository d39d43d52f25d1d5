"""LEAP: learnable end-to-end adaptive pruning of large language models."""

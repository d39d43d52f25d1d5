"""Learned pruning methods, one module or package per method, named after the method."""

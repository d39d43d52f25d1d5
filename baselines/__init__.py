"""Layer-wise pruning methods, one short module each, and the driver that walks a model."""

"""Layer-wise pruning methods, one short module each, and the drivers that walk a model."""

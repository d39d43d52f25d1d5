"""One module a rule, in the order of the data: from the dense model to an evaluated checkpoint."""

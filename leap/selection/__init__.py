"""From learned logits to masks: one module a method, named as the method."""

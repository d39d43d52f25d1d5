"""Files of jobs: atomic writing, tensors, masks, item scores, recorded recipes."""

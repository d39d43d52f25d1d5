"""What jobs leave on disk: files written whole or not at all, tensors, masks, items."""

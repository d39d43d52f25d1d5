"""Page of a run, releases, citations, tracked examples and closing lines."""

"""What to run: settings, the cells of the grid, methods, and what all of it needs and costs."""

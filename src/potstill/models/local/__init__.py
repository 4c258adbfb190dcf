"""Models in this process, and their weights."""

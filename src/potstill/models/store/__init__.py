"""The store of completions."""

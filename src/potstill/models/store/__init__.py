"""The store of completions, and its maintenance."""

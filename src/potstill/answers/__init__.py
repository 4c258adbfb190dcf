"""Find answers in texts and compare them. Nothing here ever executes what a text says."""

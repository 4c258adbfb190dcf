"""Create the examples."""

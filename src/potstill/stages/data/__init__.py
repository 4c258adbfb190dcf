"""Make the examples."""

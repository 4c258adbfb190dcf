"""Evaluate all systems on the test set."""

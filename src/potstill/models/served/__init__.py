"""Servers started for a run."""

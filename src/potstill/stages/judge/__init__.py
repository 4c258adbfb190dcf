"""Judges: models that grade answers to test questions, or decide which answers of a custom task are correct."""

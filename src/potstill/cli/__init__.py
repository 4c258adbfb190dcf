"""The commands: a file for each noun."""

from potstill.cli.app import main

__all__ = ["main"]

"""Arithmetic word problems without end, composed of situations, operations and questions."""

from potstill.data.word_problems.stream import questions

__all__ = ["questions"]

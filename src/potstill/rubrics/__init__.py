"""Rubrics: what people and judges grade answers by. A rubric is a YAML file; some are shipped."""

from potstill.rubrics.rubric import Criterion, Rubric, load, shipped_names

__all__ = ["Criterion", "Rubric", "load", "shipped_names"]

"""Extract answers from texts and compare them. Nothing here ever executes the content of a text.

Extraction: `extraction` (JSON, answer lines, labels), `letters` (multiple choice), `numbers`, `latex`.
Comparison: `equivalence`; mathematics goes through `math_worker_pool`, `math_worker` and `math_equivalence`.
Both use `normalization`. `text_metrics` scores texts of several sentences.
"""

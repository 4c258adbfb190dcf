"""Extract answers from texts and compare them. Nothing here ever executes the content of a text.

Extraction: `extraction` (JSON, answer lines), `labels` and `mentions` (labels), `letters` (multiple choice), `numbers`, `latex`, with
the words of many languages in `languages`.
Comparison: `equivalence`; mathematics goes through `math_worker_pool`, `math_worker` and `math_equivalence`.
Both use `normalization` (numbers, mathematics) and `folding` (one spelling for what is typed differently). `text_metrics` scores texts of several sentences.
"""

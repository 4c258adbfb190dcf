"""Extract answers from texts and compare them. Nothing here ever executes the content of a text.

Extraction: `extraction` (answer lines), `labels` and `mentions` (labels), `json_replies`, `letters` (multiple choice), `announced`
("the answer is"), `math_values`, `notation` (numbers of any country), `numbers`, `latex`, with the words of many languages in
`languages`.
Comparison: `equivalence`; of mathematics first the form (`math_forms`), then its value through `math_worker_pool`, `math_worker`
and `math_equivalence`.
Both use `normalization` (numbers, mathematics) and `folding` (one spelling for what is typed differently).
"""

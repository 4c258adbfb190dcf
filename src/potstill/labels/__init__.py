"""Labels of answers by people and judges: what is labelled, and the one table that holds the labels."""

"""For each field of a recipe: what it controls, observed where it is used, under at least two values of the field."""

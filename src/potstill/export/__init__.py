"""Export a student in a form that other software runs, behind a gate."""

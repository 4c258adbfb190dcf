"""Write a run's evaluation as other tools write theirs, for their viewers: exports/TOOL."""

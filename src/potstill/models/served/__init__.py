"""Local servers, started for a run."""

"""The folders of runs, their files, and the store that they share."""

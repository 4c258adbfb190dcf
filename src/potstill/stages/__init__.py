"""The stages of the pipeline: functions from files to files."""

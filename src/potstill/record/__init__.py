"""A proxy in front of a teacher that is in use: traffic passes unchanged, and its answers become a log for `source: logs`."""

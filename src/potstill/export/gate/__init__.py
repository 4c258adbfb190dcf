"""What an export must show before it counts as the student."""

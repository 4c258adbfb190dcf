"""The stages in order, and which of them are out of date."""

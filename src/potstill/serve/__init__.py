"""Serve a run's student behind an OpenAI-compatible API."""

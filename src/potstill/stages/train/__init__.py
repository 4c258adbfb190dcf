"""Fine-tune the student."""

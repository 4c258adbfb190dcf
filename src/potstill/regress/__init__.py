"""What fine-tuning cost outside the task: student and base answer a shipped set of general prompts."""

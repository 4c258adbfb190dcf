"""Read examples from word problems, files, the Hugging Face hub and logs."""

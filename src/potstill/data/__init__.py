"""Read examples from word problems, files, the hub and logs."""

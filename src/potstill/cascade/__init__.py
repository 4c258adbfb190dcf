"""The student answers where it is sure, the teacher elsewhere: a threshold that keeps the quality, and proof of it."""

"""What people's and judges' labels of test answers show: pure functions from labels to judged.json."""

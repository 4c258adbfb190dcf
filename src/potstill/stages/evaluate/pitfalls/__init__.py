"""Find what commonly makes a comparison say more than it knows, a file for each concept."""

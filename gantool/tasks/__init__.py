"""What a user wants done, as plain typed functions."""

"""What a profile says of what it was learned from."""

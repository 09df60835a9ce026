"""The criteria, a file each."""

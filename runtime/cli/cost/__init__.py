"""The command that says what a monitor costs."""

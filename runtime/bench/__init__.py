"""What a monitor costs on a user's own model and machine, beside the bare session."""

"""Networks that carry a state from frame to frame."""

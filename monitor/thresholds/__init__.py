"""How thresholds are set: on held-out frames, and anew on those that a guard kept."""

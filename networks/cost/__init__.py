"""What a network costs on the machine at hand: paired timing, and the processor by name."""

"""PyTorch modules as networks."""

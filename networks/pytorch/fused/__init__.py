"""One pass over a map: an activation, pooling to channels, and a comparison, each with its plain PyTorch twin."""

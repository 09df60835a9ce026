"""The guard of attention heads inside the graph of a language model."""

"""Detectors of other libraries, by their own code, on the same network, columns and held-out images."""

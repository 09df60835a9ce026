"""Benchmarks of the verdicts that say where in the picture: segmenters and detectors on driving frames."""

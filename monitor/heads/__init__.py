"""The attention heads of a (vision-)language model as a guard: search, statistics, calibration, verdict."""

"""Taps for a budget of time: what they cost and what they detect, both measured on the machine at hand."""

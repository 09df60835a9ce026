"""Data as a user hands it over, as arrays, and a sample of it."""

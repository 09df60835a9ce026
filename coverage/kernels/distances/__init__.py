"""Distances between samples and what a class has shown, a file per question."""

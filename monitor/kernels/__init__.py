"""Compiled loops of the judge: scores, levels, the class of a frame and of its places."""

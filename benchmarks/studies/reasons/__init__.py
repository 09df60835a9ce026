"""Reasons before refusals as supervision, after SafeCoT (arXiv 2506.08399)."""

"""Criteria that read the class scores, a file each."""

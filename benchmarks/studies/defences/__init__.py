"""Defences side by side, after SODE (Findings of ACL 2024, arXiv 2401.00287)."""

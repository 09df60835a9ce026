"""Jailbreaks of safety tuning on the synthetic testbed: Jain et al., NeurIPS 2024."""

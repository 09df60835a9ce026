"""What safety tuning does inside a model, on three seeds of the testbed: Jain et al., NeurIPS 2024."""

"""How well unusual inputs are told from usual ones."""

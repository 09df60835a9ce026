"""Studies of models made safer: each of a paper's claims as a row, measured with several seeds."""

"""Studies of safety tuning: the claims of papers as rows, each with its interval over seeds and whether it held."""

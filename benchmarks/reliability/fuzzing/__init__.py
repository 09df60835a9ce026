"""Changed files: how they are changed, what reads them, and what runs and watches that."""

"""What a guard asks of a frame's outcome beside its verdict."""

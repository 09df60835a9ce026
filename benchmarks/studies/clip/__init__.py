"""SafeR-CLIP against rigid redirection and Safe-CLIP, on a small CLIP that learned sketches with captions."""

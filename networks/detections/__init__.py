"""What an object detector found in its frames: its output decoded into boxes, scores and classes."""

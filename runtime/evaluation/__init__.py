"""Sets to evaluate a monitor on that are made from clean pictures, and the page of an evaluation."""

"""The monitor at work: the command line, where its data come from, and the demo."""

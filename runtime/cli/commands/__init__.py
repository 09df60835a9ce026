"""What each command does: a file per command with `run(options) -> exit status`. What it takes is in `options.py`."""

"""The commands of `outrider head`: a file per command with `run(options) -> exit status`."""

"""What the commands of `outrider lab` do, a file for each."""

"""What a trial run of a module tells: calls, kinds of activation, channels."""

"""The event log: what happened in the loop, kept in a file."""

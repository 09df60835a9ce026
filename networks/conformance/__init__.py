"""The rules for networks, as a check that an adapter's author runs."""

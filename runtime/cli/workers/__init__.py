"""What the commands do for many workers: shards, merging, a cluster."""

"""What the judge binds: columns, places of maps, names of neurons."""

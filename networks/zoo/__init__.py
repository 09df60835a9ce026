"""Small networks and data to try things on: classifiers, the driving network, data sets, training."""

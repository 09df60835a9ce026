"""Where verdicts go: a terminal, a recording, ROS 2."""

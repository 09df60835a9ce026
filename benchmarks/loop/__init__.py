"""What a guard changes in a closed loop."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when numpy and torch are loaded, so it stands here

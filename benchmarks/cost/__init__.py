"""What a monitor costs: time, memory, and both on exported models."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when numpy and torch are loaded, so it stands here

"""Whether a monitor keeps its promises: over a long run, and in each of its forms."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when numpy and torch are loaded, so it stands here

"""The example of torchrun in docs/how-to/many-workers.md, with two processes and gloo."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from outrider.monitor import Monitor
from outrider.networks import OnnxNetwork, load_dataset

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "many-workers.md"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_two_processes_make_the_profile_of_one(model, tmp_path):
    pytest.importorskip("torch.distributed")
    (example,) = re.findall(r"```python\n(import numpy[^`]*gather_object[^`]*)```", PAGE.read_text(encoding="utf-8"))
    (tmp_path / "profile.py").write_text(example)
    (tmp_path / "net.onnx").write_bytes(model.read_bytes())
    frames = load_dataset("digits", "train")[:400].floats()
    np.save(tmp_path / "frames.npy", frames)
    ours = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2"}
    workers = [
        subprocess.Popen(
            [sys.executable, "profile.py"], cwd=tmp_path, env=ours | {"RANK": str(rank)}, stderr=-1, text=True
        )
        for rank in range(2)
    ]
    try:
        for worker in workers:
            _, said = worker.communicate(timeout=120)
            assert worker.returncode == 0, said
    finally:
        for worker in workers:
            worker.kill()
    Monitor.merge([Monitor(OnnxNetwork(model)).profile_part(frames, "0/1")], model).save(tmp_path / "one.outrider")
    assert (tmp_path / "whole.outrider").read_bytes() == (tmp_path / "one.outrider").read_bytes()

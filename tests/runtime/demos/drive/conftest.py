"""A world to drive in, a guard that says what it is told to, and the demo with few and short drives."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("pygame", reason="driving needs gymnasium[box2d]")
pytest.importorskip("Box2D", reason="driving needs gymnasium[box2d]")

from outrider.monitor import OutriderWarning, Status, Verdict
from outrider.networks import OnnxNetwork
from outrider.networks.zoo.steering import drive_model
from outrider.runtime.demos.drive.loop import Pilot
from outrider.runtime.demos.drive.world import World


@pytest.fixture(scope="session")
def world():
    return World()


@pytest.fixture(scope="session")
def network():
    return OnnxNetwork(drive_model())


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """(its experiment, its page)"""
    pytest.importorskip("jinja2")
    pytest.importorskip("PIL")
    from outrider.runtime.demos.drive import run_drive_demo

    output = tmp_path_factory.mktemp("drive") / "drive.html"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutriderWarning)  # four short drives have no sharp bends to the right
        experiment = run_drive_demo(output, fast=True, workers=1)
    return experiment, output.read_text(encoding="utf-8")


class ScriptedGuard:
    """Gives the statuses of a script, one a frame, and lets its pilot's fallback answer from ALARM on."""

    def __init__(self, network, script, fallback):
        self._network, self._script, self._fallback = network, script, fallback

    def reset(self):
        self._next = iter(self._script)

    def __call__(self, frame):
        output, status = self._network.run(frame[None])[0], Status(next(self._next))
        verdict = Verdict(status, 0.5, 1.0, 0.7, 0, np.zeros(1, np.float32))
        return (self._fallback(output, verdict) if verdict.alarm else output), verdict


@pytest.fixture
def scripted(network):
    def make(script):
        pilot = Pilot(network)
        pilot.guard = ScriptedGuard(network, script, pilot.keep_course)
        return pilot

    return make

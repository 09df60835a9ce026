"""The demo with little training and few images, run once."""

from __future__ import annotations

import warnings

import pytest

pytest.importorskip("torch")

from outrider.monitor import OutriderWarning


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """(its experiment, its page)"""
    for package in ("torchattacks", "onnxscript", "jinja2", "sklearn"):
        pytest.importorskip(package)
    from outrider.runtime.demos.pictures import run_demo

    output = tmp_path_factory.mktemp("demo") / "demo.html"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutriderWarning)  # six epochs leave yellow without trusted photographs
        experiment = run_demo(output, fast=True)
    return experiment, output.read_text(encoding="utf-8")

"""`outrider evaluate`: its table, its JSON, its page, and the same from a configuration file."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from ..outcomes import CROWD, crowd, error_of, save


@pytest.fixture
def noise(tmp_path):
    np.save(tmp_path / "noise.npy", np.random.default_rng(0).integers(0, 256, (20, 8, 8), np.uint8))
    return "noise=noise.npy"


def arguments(calibrated, *more):
    return "evaluate", calibrated, "--clean", "digits:test", "--rows", ":60", "--resamples", "20", *more


def figures(facts):
    """All but what the clock tells."""
    return {name: value for name, value in facts.items() if name != "cost"}


def test_a_table_a_page_and_json(outrider, calibrated, noise, tmp_path):
    pytest.importorskip("jinja2")
    more = ("--unsafe", noise, "--faults", "black,frozen", "-o", "page.html", "--json", "all.json", "--rate-fps", "10")
    result = outrider(*arguments(calibrated, *more))
    assert (result.code, result.err) == (0, "")
    for expected in ("noise", "black", "frozen", "FPR at 95 % TPR", "an hour at 10 frames a second", "cost: "):
        assert expected in result.out
    facts = json.loads((tmp_path / "all.json").read_text(), parse_constant=pytest.fail)
    names = [one["name"] for one in facts["unsafe"]]
    assert names == ["noise", "black", "frozen"]
    assert facts["unsafe"][0]["flagged"]["count"] == 20
    assert facts["profile"]["bytes"] == calibrated.stat().st_size
    assert facts["data"]["frames"] == 80
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_numbers_are_those_of_check(outrider, calibrated, noise):
    facts = json.loads(outrider(*arguments(calibrated, "--unsafe", noise, "--json")).out)
    lines = outrider("check", calibrated, "digits:test", "--rows", ":60", "--json").out.splitlines()
    assert facts["clean"]["flagged"]["count"] == sum(json.loads(line)["alarm"] for line in lines)
    assert facts["clean"]["errors"]["accuracy"]["n"] == 60


def test_a_configuration_file_says_what_flags_say(outrider, calibrated, noise, tmp_path):
    (tmp_path / "settings.yaml").write_text(
        "clean: digits:test\nunsafe: {noise: noise.npy, again: noise.npy}\nfaults: true\nrows: ':60'\nresamples: 20\n"
        "json: true\nlabelled: []\n"
    )
    found = json.loads(outrider("evaluate", calibrated, "--config", "settings.yaml").out)
    flags = arguments(calibrated, "--unsafe", noise, "again=noise.npy", "--faults", "--json")
    assert figures(found) == figures(json.loads(outrider(*flags).out))
    (tmp_path / "settings.yaml").write_text("unsafe: [noise=noise.npy]\nfaults: [black, white]\njson: false\n")
    result = outrider(*arguments(calibrated, "--config", "settings.yaml"))
    assert "noise" in result.out
    assert "white" in result.out
    assert "frozen" not in result.out


def test_corruptions_have_a_row_and_severities_a_column(outrider, calibrated, monkeypatch):
    library = SimpleNamespace(corrupt=lambda image, severity, name: np.uint8(image // (1 + severity)))
    monkeypatch.setitem(sys.modules, "imagecorruptions", library)
    result = outrider(*arguments(calibrated, "--corruptions", "fog,snow", "--severities", "2,4"))
    head = next(line for line in result.out.splitlines() if line.startswith("corruption"))
    assert head.split()[-4:] == ["severity", "2", "severity", "4"]
    assert [line.split()[0] for line in result.out.splitlines() if line.startswith(("fog", "snow"))] == ["fog", "snow"]


def test_attacks_on_a_pytorch_network(outrider, module, tmp_path):
    pytest.importorskip("torchattacks")
    assert outrider("profile", *module, "digits:train", "-o", "t.outrider", "--rows", ":800", "--size", 8, 8).code == 0
    network = ("--network", *module)
    held = ("calibrate", "t.outrider", "digits:train", "--rows", "1000:", "--false-alarm-rate", "0.1")
    assert outrider(*held, *network).code == 0
    more = ("--attacks", "torchattacks:FGSM", "--epsilon", "0.3", "--attack-count", "20")
    result = outrider(*arguments("t.outrider", *network, *more))
    assert result.code == 0
    line = next(line for line in result.out.splitlines() if "deceive the network" in line)
    assert line.startswith("torchattacks:FGSM 0.3: ")
    assert "of 20 attacks deceive" in line
    assert "does not know the monitor" in line


def test_what_was_left_out_is_said(outrider, calibrated, clean, tmp_path):
    folder = crowd(save(tmp_path / "held", clean[:12]))
    (folder / "torn.png").write_bytes(b"no picture")
    result = outrider("evaluate", calibrated, "--clean", "held", "--on-error", "skip", "--resamples", "0")
    assert result.code == 0
    assert "1 frame of clean could not be read and are in no figure" in result.out
    assert CROWD in result.out
    message = error_of(outrider("evaluate", calibrated, "--clean", "held"))
    assert "--on-error skip leaves out what cannot be read" in message


def test_errors(outrider, calibrated, profiled, model, noise):
    assert "expected a calibrated profile" in error_of(
        outrider("evaluate", profiled, "--clean", "digits:test", "--network", model)
    )
    assert "expected a network of PyTorch" in error_of(outrider(*arguments(calibrated, "--attacks", "pgd")))
    assert "got noise more than once" in error_of(outrider(*arguments(calibrated, "--unsafe", noise, noise)))
    assert "--labelled" in error_of(outrider(*arguments(calibrated, "--labelled", "x")))
    assert "the following arguments are required: --clean" in error_of(outrider("evaluate", calibrated))


def test_drives_stand_beside_the_rate_that_was_asked_for(outrider, calibrated, tmp_path):
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (12, 8, 8), np.uint8)  # no digits: all of them alarm
    np.savez(tmp_path / "drives.npz", images=images, drives=np.repeat(["dawn", "noon", "dusk"], 4))
    result = outrider("evaluate", calibrated, "--clean", "drives.npz", "--by-drive", "--resamples", "0")
    assert "by drive: 3 of 3 drives alarm in more than " in result.out
    assert "; the most in dawn, 100 % of 4" in result.out
    assert "promised: of new frames drawn like the " in result.out
    assert "by drive" not in outrider("evaluate", calibrated, "--clean", "drives.npz", "--resamples", "0").out

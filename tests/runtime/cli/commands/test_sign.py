"""`outrider sign`, and what the other commands do with the key that signed."""

from __future__ import annotations

import json
import os
import shutil

import pytest

pytest.importorskip("cryptography")

from outrider.runtime.cli.commands.sign import PASSPHRASE

from ..outcomes import error_of


@pytest.fixture
def maker(outrider, tmp_path):
    assert outrider("sign", "--new-key", "maker.pem").code == 0
    return tmp_path / "maker.pub.pem"


@pytest.fixture
def released(calibrated, tmp_path):
    """A profile and its network in the folder of the commands."""
    for path in (calibrated, calibrated.with_name("digits.onnx")):
        shutil.copy(path, tmp_path / path.name)
    return tmp_path / calibrated.name


def test_a_key_is_made_and_told_of(outrider, tmp_path):
    made = outrider("sign", "--new-key", "maker.pem", "--json")
    assert json.loads(made.out) == {"private": "maker.pem", "public": "maker.pub.pem"}
    if os.name == "posix":
        assert (tmp_path / "maker.pem").stat().st_mode & 0o777 == 0o600
    assert "expected a new file for a key" in error_of(outrider("sign", "--new-key", "maker.pem"))
    told = outrider("sign", "--new-key", "other.pem").out
    assert "other.pem: the private key, for the maker alone (not encrypted; set OUTRIDER_PASSPHRASE" in told


def test_every_command_that_runs_a_profile_refuses_what_the_key_did_not_sign(outrider, released, maker, covered):
    commands = [
        ("check", released, "digits:test", "--rows", ":20", "--key", maker),
        ("watch", released, covered, "--key", maker),
        ("export", "digits.onnx", released, "-o", "guarded.onnx", "--key", maker),
        ("verify", released, "--key", maker),
    ]
    for command in commands:
        assert "expected a file that" in (said := error_of(outrider(*command)))
        assert "got one without a signature" in said
    assert outrider("sign", released, "--key", "maker.pem").out == f"{released}: signed, {released}.sig\n"
    assert outrider(*commands[0]).code in (0, 1)
    assert outrider(*commands[2]).code == 0
    assert f"{released}: signed by the key " in outrider(*commands[3]).out
    released.write_bytes(released.read_bytes()[:-1] + b"\xff")
    for command in commands:
        assert "expected what was signed, got another file" in error_of(outrider(*command))


def test_a_guarded_model_is_signed_as_well(outrider, released, maker, tmp_path):
    assert outrider("export", "digits.onnx", released, "-o", "guarded.onnx").code == 0
    assert outrider("sign", "guarded.onnx", released, "--key", "maker.pem", "--json").code == 0
    assert outrider("verify", "guarded.onnx", released, "--key", maker).code == 0
    data = bytearray((tmp_path / "guarded.onnx").read_bytes())
    data[-1] ^= 1
    (tmp_path / "guarded.onnx").write_bytes(data)
    assert "got another file" in error_of(outrider("verify", "guarded.onnx", released, "--key", maker))
    assert "altered" in error_of(outrider("sign", "guarded.onnx", "--key", "maker.pem"))
    assert "altered" in error_of(outrider("inspect", "guarded.onnx"))


def test_a_damaged_profile_is_not_signed(outrider, released, maker):
    released.write_bytes(released.read_bytes()[:-1] + b"\xff")
    assert "its SHA-256 does not fit" in error_of(outrider("sign", released, "--key", "maker.pem"))
    assert not released.with_name("digits.outrider.sig").exists()


def test_a_passphrase_comes_from_the_environment_where_nobody_can_be_asked(outrider, released, monkeypatch):
    monkeypatch.setenv(PASSPHRASE, "correct horse")
    assert "(encrypted)" in outrider("sign", "--new-key", "safe.pem").out
    assert outrider("sign", released, "--key", "safe.pem").code == 0
    monkeypatch.delenv(PASSPHRASE)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    words = f"safe.pem: expected its passphrase in the variable {PASSPHRASE}, got none"
    assert words in error_of(outrider("sign", released, "--key", "safe.pem"))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("getpass.getpass", lambda prompt: "correct horse")
    assert outrider("sign", released, "--key", "safe.pem").code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sign", "x"), "expected --key with the private key that signs, or --new-key"),
        (("sign", "--key", "a", "--new-key", "b"), "expected --key with the private key that signs, or --new-key"),
        (("sign", "x", "--new-key", "b"), "expected --new-key alone, got files to sign too"),
        (("sign", "--key", "maker.pem"), "expected a file to sign, got none"),
        (("sign", "no.outrider", "--key", "maker.pem"), "no.outrider: expected a profile, got no such file"),
    ],
)
def test_a_mistake_is_one_sentence(outrider, maker, arguments, message):
    assert message in error_of(outrider(*arguments))

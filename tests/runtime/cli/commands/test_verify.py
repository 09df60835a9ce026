"""`outrider verify`: a machine asks it before it loads a file."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest

pytest.importorskip("cryptography")
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from ..outcomes import error_of


def test_the_key_that_signed_is_named(outrider, calibrated, tmp_path):
    shutil.copy(calibrated, tmp_path / "p.outrider")
    for name in ("maker", "other"):
        assert outrider("sign", "--new-key", f"{name}.pem").code == 0
    assert outrider("sign", "p.outrider", "--key", "maker.pem").code == 0
    found = outrider("verify", "p.outrider", "--key", "maker.pub.pem", "--json")
    key = load_pem_public_key((tmp_path / "maker.pub.pem").read_bytes()).public_bytes_raw()
    assert json.loads(found.out) == [{"file": "p.outrider", "key": hashlib.sha256(key).hexdigest()}]
    assert "another key signed" in error_of(outrider("verify", "p.outrider", "--key", "other.pub.pem"))
    set_anew = "calibrate", "p.outrider", "--threshold", "3", "-o", "q.outrider"
    assert "another key signed" in error_of(outrider(*set_anew, "--key", "other.pub.pem"))
    assert outrider(*set_anew, "--key", "maker.pub.pem").code == 0
    assert "got a private one" in error_of(outrider("verify", "p.outrider", "--key", "maker.pem"))
    assert "--key" in error_of(outrider("verify", "p.outrider"))

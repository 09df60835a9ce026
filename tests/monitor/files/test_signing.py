from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("cryptography")
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from outrider.monitor import Monitor, ProfileError, SignatureError, new_key, sign_file, verify_file
from outrider.monitor.heads import HeadGuard

PEM = serialization.Encoding.PEM
PKCS8, PUBLIC = serialization.PrivateFormat.PKCS8, serialization.PublicFormat.SubjectPublicKeyInfo


@pytest.fixture
def maker(tmp_path):
    new_key(tmp_path / "maker.pem")
    return tmp_path / "maker.pem", tmp_path / "maker.pub.pem"


@pytest.fixture
def profile(tmp_path, monitor):
    monitor.save(tmp_path / "m.outrider")
    return tmp_path / "m.outrider"


def test_a_signed_profile_is_loaded_with_the_key(profile, maker, network):
    private, public = maker
    signature = sign_file(profile, private)
    assert signature.name == "m.outrider.sig"
    key = serialization.load_pem_public_key(public.read_bytes())
    name = hashlib.sha256(key.public_bytes_raw()).hexdigest()
    assert verify_file(profile, public) == name
    assert Monitor.load(profile, network, key=public).calibration is not None
    # As docs/reference/file-format.md has it, by hand.
    said = json.loads(signature.read_text())
    sha256 = hashlib.sha256(profile.read_bytes()).hexdigest()
    assert said.items() >= {"format": 1, "algorithm": "Ed25519", "sha256": sha256, "key": name}.items()
    message = f"Outrider signature of a file\nformat 1\nSHA-256 {sha256}\n".encode()
    key.verify(base64.b64decode(said["signature"]), message)


def test_what_the_maker_did_not_sign_is_refused_before_it_is_read(profile, maker, network, tmp_path, monkeypatch):
    private, public = maker
    with pytest.raises(SignatureError, match=r"m.outrider: expected a file that .*maker.pub.pem signed, got one with"):
        Monitor.load(profile, network, key=public)
    sign_file(profile, private)
    monkeypatch.setattr("outrider.monitor.files.container.unpacked", lambda *_, **__: pytest.fail("it was read"))
    other = new_key(tmp_path / "other.pem")
    with pytest.raises(SignatureError, match="got one that another key signed"):
        Monitor.load(profile, network, key=other)
    data = bytearray(profile.read_bytes())
    data[-1] ^= 1
    profile.write_bytes(data)
    with pytest.raises(SignatureError, match="expected what was signed, got another file: its SHA-256 is"):
        Monitor.load(profile, network, key=public)


def test_a_signature_for_another_file_or_by_hand_is_refused(profile, maker, tmp_path):
    private, public = maker
    signature = sign_file(profile, private)
    said = json.loads(signature.read_text())
    forged = said | {"signature": base64.b64encode(bytes(64)).decode()}
    signature.write_text(json.dumps(forged))
    with pytest.raises(SignatureError, match="got a signature that does not fit"):
        verify_file(profile, public)
    key = serialization.load_pem_private_key(private.read_bytes(), None)
    bare = said | {"signature": base64.b64encode(key.sign(said["sha256"].encode())).decode()}
    signature.write_text(json.dumps(bare))
    with pytest.raises(SignatureError, match="does not fit"):  # what the key signed elsewhere is no signature here
        verify_file(profile, public)
    mallory = Ed25519PrivateKey.generate()
    message = f"Outrider signature of a file\nformat 1\nSHA-256 {said['sha256']}\n".encode()
    signature.write_text(json.dumps(said | {"signature": base64.b64encode(mallory.sign(message)).decode()}))
    with pytest.raises(SignatureError, match="does not fit"):
        verify_file(profile, public)


@pytest.mark.parametrize(
    "text",
    ["", "[" * 100_000, "[]", "{}", '{"format": 1}', "x" * 20_000, "\x00", '{"format": true}'],
    ids=range(8),
)
def test_what_is_no_signature_is_refused(profile, maker, text):
    profile.with_name("m.outrider.sig").write_text(text)
    with pytest.raises(SignatureError, match="expected a signature of `outrider sign`, got something else"):
        verify_file(profile, maker[1])


@pytest.mark.parametrize("change", [{"format": 2}, {"algorithm": "none"}])
def test_another_form_of_signature_is_named(profile, maker, change):
    signature = sign_file(profile, maker[0])
    signature.write_text(json.dumps(json.loads(signature.read_text()) | change))
    with pytest.raises(SignatureError, match="expected an Ed25519 signature of format 1, got"):
        verify_file(profile, maker[1])


def test_one_of_several_keys_may_have_signed(profile, maker, tmp_path):
    """As when a key is replaced by a new one."""
    sign_file(profile, maker[0])
    both = tmp_path / "both.pem"
    both.write_bytes(new_key(tmp_path / "next.pem").read_bytes() + b"\n" + maker[1].read_bytes())
    assert verify_file(profile, both) == verify_file(profile, maker[1])


def test_private_and_public_keys_are_told_apart(profile, maker, network):
    private, public = maker
    with pytest.raises(SignatureError, match=r"maker.pub.pem: expected the private key, got a public one"):
        sign_file(profile, public)
    sign_file(profile, private)
    with pytest.raises(SignatureError, match=r"maker.pem: expected the public key, got a private one; it belongs"):
        Monitor.load(profile, network, key=private)


@pytest.mark.parametrize(
    "other",
    [
        lambda: ec.generate_private_key(ec.SECP256R1()),
        ed448.Ed448PrivateKey.generate,
        lambda: rsa.generate_private_key(65537, 2048),
    ],
    ids=["ec", "ed448", "rsa"],
)
def test_keys_of_another_kind_are_refused(profile, tmp_path, other):
    key = other()
    (tmp_path / "private").write_bytes(key.private_bytes(PEM, PKCS8, serialization.NoEncryption()))
    (tmp_path / "public").write_bytes(key.public_key().public_bytes(PEM, PUBLIC))
    profile.with_name("m.outrider.sig").write_text("{}")
    with pytest.raises(SignatureError, match=r"private: expected an Ed25519 key, got .*; `outrider sign --new"):
        sign_file(profile, tmp_path / "private")
    with pytest.raises(SignatureError, match=r"public: expected an Ed25519 key, got .*; `outrider sign --new"):
        verify_file(profile, tmp_path / "public")


def test_a_file_that_is_no_key_is_refused(profile, tmp_path):
    broken = b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
    for data in (b"", b"hello", bytes(range(256)), broken):
        (tmp_path / "key").write_bytes(data)
        with pytest.raises(SignatureError, match="expected an Ed25519 public key in PEM, got"):
            verify_file(profile, tmp_path / "key")
        with pytest.raises(SignatureError, match=r"expected an Ed25519 private key|got a public one"):
            sign_file(profile, tmp_path / "key")
    with pytest.raises(FileNotFoundError, match="expected the public key, got no such file"):
        verify_file(profile, tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="expected the private key, got no such file"):
        sign_file(profile, tmp_path / "none")


def test_a_key_with_a_passphrase(profile, tmp_path):
    public = new_key(tmp_path / "safe.pem", "correct horse")
    assert b"ENCRYPTED" in (tmp_path / "safe.pem").read_bytes()
    with pytest.raises(SignatureError, match="expected its passphrase, got none"):
        sign_file(profile, tmp_path / "safe.pem")
    with pytest.raises(SignatureError, match="expected a key of that passphrase, got another"):
        sign_file(profile, tmp_path / "safe.pem", "wrong")
    sign_file(profile, tmp_path / "safe.pem", "correct horse")
    verify_file(profile, public)
    new_key(tmp_path / "bare.pem")
    with pytest.raises(SignatureError, match="expected a key that a passphrase encrypts, got one without"):
        sign_file(profile, tmp_path / "bare.pem", "wrong")


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_a_private_key_is_for_its_owner_and_none_is_overwritten(tmp_path, maker):
    private, public = maker
    assert private.stat().st_mode & 0o777 == 0o600
    before = private.read_bytes(), public.read_bytes()
    with pytest.raises(SignatureError, match="expected a new file for a key, got one that is there; name another"):
        new_key(private)
    private.unlink()
    with pytest.raises(SignatureError, match=r"maker.pub.pem: expected a new file for a key"):
        new_key(private)
    assert public.read_bytes() == before[1]


@pytest.mark.parametrize("name", ["net.onnx", "NET.ONNX", "net.onnx.bak", "net"])
def test_the_weights_beside_a_model_are_signed_with_it(tmp_path, maker, name):
    onnx = pytest.importorskip("onnx")
    weight = onnx.numpy_helper.from_array(np.arange(64, dtype=np.float32).reshape(8, 8), "w")
    x, y = (onnx.helper.make_tensor_value_info(name, 1, [1, 8]) for name in "xy")
    graph = onnx.helper.make_graph([onnx.helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [x], [y], [weight])
    path = tmp_path / "net.onnx"
    external = {"save_as_external_data": True, "location": "net.weights", "size_threshold": 0}
    onnx.save(onnx.helper.make_model(graph), path, **external)
    path = path.rename(tmp_path / name)
    sign_file(path, maker[0])
    verify_file(path, maker[1])
    data = bytearray((tmp_path / "net.weights").read_bytes())
    data[17] ^= 1
    (tmp_path / "net.weights").write_bytes(data)
    with pytest.raises(SignatureError, match="expected what was signed, got another file"):
        verify_file(path, maker[1])


def test_a_file_that_is_neither_is_signed_as_it_is(tmp_path, maker):
    for data in (b"", b"guards:\n  left: 0\n", bytes(range(256))):
        (tmp_path / "other").write_bytes(data)
        sign_file(tmp_path / "other", maker[0])
        assert verify_file(tmp_path / "other", maker[1])
        (tmp_path / "other").write_bytes(data + b"\n")
        with pytest.raises(SignatureError, match="expected what was signed, got another file"):
            verify_file(tmp_path / "other", maker[1])


def test_files_of_heads_are_signed_too(tmp_path, maker):
    from ..heads.conftest import FakeDecoder, safe, unsafe

    decoder = FakeDecoder()
    guard = HeadGuard(decoder)
    guard.search(unsafe(20), safe(20), permutations=0)
    guard.calibrate(safe(60, start=100), 0.05)
    guard.save(tmp_path / "guard.outrider")
    with pytest.raises(SignatureError, match="got one without a signature"):
        HeadGuard.load(tmp_path / "guard.outrider", decoder, key=maker[1])
    sign_file(tmp_path / "guard.outrider", maker[0])
    assert HeadGuard.load(tmp_path / "guard.outrider", decoder, key=maker[1]).calibration is not None


def test_a_signature_mends_no_file(profile, maker, network):
    """A damaged file that was signed is refused for what it is."""
    data = bytearray(profile.read_bytes())
    data[-1] ^= 1
    profile.write_bytes(data)
    sign_file(profile, maker[0])
    with pytest.raises(ProfileError, match="altered or cut short: its SHA-256 does not fit"):
        Monitor.load(profile, network, key=maker[1])


def test_without_the_package_the_extra_is_named(profile, tmp_path):
    code = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from outrider.monitor import verify_file\n"
        f"try: verify_file({str(profile)!r}, {str(profile)!r})\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.startswith("signatures need the package cryptography: pip install ")

"""Signatures of files, with an Ed25519 key of whoever releases them: FILE.sig beside FILE.

A digest inside a file finds accidents, for whoever changes a file can compute it anew. Only the owner of the private
key can make the signature.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...networks.onnx.files import external_tensors, fingerprint, read_model
from ...networks.onnx.proto import parse_model
from ...networks.packages import require
from ..errors import SignatureError
from .whole import file_sha256, write_whole

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SUFFIX = ".sig"
FORMAT = 1
_LARGEST = 10_000
_FIELDS = {"format": int, "algorithm": str, "sha256": str, "key": str, "signature": str}

Name = str | os.PathLike[str]


def new_key(path: Name, passphrase: str | None = None) -> Path:
    """Write a new private key, for its owner alone to read, and its public key beside it; return the path of that.

    path: of the private key, such as maker.pem; the public one is then maker.pub.pem. passphrase: encrypts it.
    Raises SignatureError where either is there already.
    """
    _require()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Path(path)
    public = private.with_name(f"{private.stem}.pub{private.suffix or '.pem'}")
    for one in (private, public):
        if one.exists():
            raise SignatureError(f"{one}: expected a new file for a key, got one that is there; name another")
    key = Ed25519PrivateKey.generate()
    encrypted = serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else None
    pem, no_encryption = serialization.Encoding.PEM, serialization.NoEncryption()
    data = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, encrypted or no_encryption)
    write_whole(private, data, SignatureError, mode=0o600)
    known = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    write_whole(public, known, SignatureError)
    return public


def sign_file(path: Name, key: Name, passphrase: str | None = None) -> Path:
    """Sign a file and return the path of the signature, FILE.sig.

    The signature is of all bytes of the file, and of the weights in files beside it where it is an ONNX model.
    key: the file of an Ed25519 private key in PEM. Raises SignatureError, FileNotFoundError, ValueError for no model.
    """
    path = Path(path)
    private, sha256 = _private_key(Path(key), passphrase), signed_sha256(path)
    facts = {
        "format": FORMAT,
        "algorithm": "Ed25519",
        "sha256": sha256,
        "key": _name_of(private.public_key()),
        "signature": base64.b64encode(private.sign(_message(sha256))).decode(),
    }
    target = signature_path(path)
    write_whole(target, (json.dumps(facts, indent=1) + "\n").encode(), SignatureError)
    return target


def verify_file(path: Name, key: Name) -> str:
    """The name of the key that signed a file: the SHA-256 of the public key.

    key: the file of the public key in PEM, or of several: then one of them. Raises SignatureError for a file that none
    of them signed, FileNotFoundError.
    """
    return check_signature(path, signed_sha256(Path(path)), key)


def check_signature(path: Name, sha256: str, key: Name) -> str:
    """`verify_file` for a file that was read; sha256: of what was read."""
    keys, signature = _public_keys(Path(key)), signature_path(path)
    if not signature.is_file():
        raise SignatureError(
            f"{path}: expected a file that {key} signed, got one without a signature: there is no {signature}"
        )
    said = _read(signature)
    if said["sha256"] != sha256:
        raise SignatureError(
            f"{path}: expected what was signed, got another file: its SHA-256 is {sha256[:12]}…, that in {signature} is"
            f" {said['sha256'][:12]}…; the maker signs what it released"
        )
    if said["key"] not in keys:
        raise SignatureError(
            f"{path}: expected a file that {key} signed, {' or '.join(f'{one[:12]}…' for one in keys)}, got one that"
            f" another key signed, {said['key'][:12]}…"
        )
    from cryptography.exceptions import InvalidSignature

    try:
        keys[said["key"]].verify(base64.b64decode(said["signature"], validate=True), _message(sha256))
    except (InvalidSignature, ValueError):
        raise SignatureError(f"{path}: expected a file that {key} signed, got a signature that does not fit") from None
    return str(said["key"])


def signature_path(path: Name) -> Path:
    """Where the signature of a file lies: FILE.sig."""
    path = Path(path)
    return path.with_name(path.name + SUFFIX)


def signed_sha256(path: Path) -> str:
    """What a signature is of: SHA-256 of a file and, of an ONNX model, of the files beside it that hold its weights.

    What a file is, its bytes tell and not its name: a model under another name keeps its weights beside it too.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a file that can be signed, got no such file")
    named = path.suffix == ".onnx"
    with path.open("rb") as file:
        ours = int.from_bytes(file.read(8), "little") <= path.stat().st_size  # the length of the header of safetensors
    if ours and not named:
        return file_sha256(path)
    try:
        data = read_model(path)
        model = parse_model(data)
    except ValueError:
        if named:
            raise
        return file_sha256(path)
    return fingerprint(data, external_tensors(model), path.parent)


def _message(sha256: str) -> bytes:
    """What is signed: nothing else that the key may sign begins like this."""
    return f"Outrider signature of a file\nformat {FORMAT}\nSHA-256 {sha256}\n".encode()


def _name_of(key: Ed25519PublicKey) -> str:
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
        facts = json.loads(data) if len(data) <= _LARGEST else None
    except (ValueError, RecursionError, OSError):
        facts = None
    if not isinstance(facts, dict) or {name: type(one) for name, one in facts.items()} != _FIELDS:
        raise SignatureError(f"{path}: expected a signature of `outrider sign`, got something else")
    if (facts["format"], facts["algorithm"]) != (FORMAT, "Ed25519"):
        got = f"{facts['algorithm']} of format {facts['format']}"
        raise SignatureError(f"{path}: expected an Ed25519 signature of format {FORMAT}, got {got}")
    return facts


def _private_key(path: Path, passphrase: str | None) -> Ed25519PrivateKey:
    _require()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    data = _pem(path, "private")
    if b"PUBLIC KEY" in data:
        raise SignatureError(f"{path}: expected the private key, got a public one; a public key cannot sign")
    try:
        key = serialization.load_pem_private_key(data, passphrase.encode() if passphrase else None)
    except TypeError as error:  # so the library tells a passphrase that is missing, or one for a key without
        want = "its passphrase, got none" if not passphrase else "a key that a passphrase encrypts, got one without"
        raise SignatureError(f"{path}: expected {want}") from error
    except ValueError as error:
        wrong = "a key of that passphrase" if passphrase else "an Ed25519 private key in PEM"
        raise SignatureError(f"{path}: expected {wrong}, got another: {error}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SignatureError(f"{path}: expected an Ed25519 key, got {type(key).__name__.strip('_')}; {_HOW}")
    return key


_HOW = "`outrider sign --new-key` makes one"


def _public_keys(path: Path) -> dict[str, Ed25519PublicKey]:
    """The keys of a file by their names."""
    _require()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    data = _pem(path, "public")
    if b"PRIVATE KEY" in data:
        raise SignatureError(
            f"{path}: expected the public key, got a private one; it belongs to the maker alone, who gives the public"
            " one away"
        )
    end = b"-----END PUBLIC KEY-----"
    keys = {}
    for part in data.split(end)[:-1]:
        try:
            key = serialization.load_pem_public_key(part + end)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise SignatureError(f"{path}: expected an Ed25519 public key in PEM, got another: {error}") from None
        if not isinstance(key, Ed25519PublicKey):
            raise SignatureError(f"{path}: expected an Ed25519 key, got {type(key).__name__.strip('_')}; {_HOW}")
        keys[_name_of(key)] = key
    if not keys:
        raise SignatureError(f"{path}: expected an Ed25519 public key in PEM, got none; {_HOW}")
    return keys


def _pem(path: Path, what: str) -> bytes:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected the {what} key, got no such file")
    with path.open("rb") as file:
        return file.read(_LARGEST)


def _require() -> None:
    require("cryptography", "signatures need the package cryptography", "sign")

"""Sign a profile, a heads file or a model, or make the key that signs."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from pathlib import Path

from ....monitor import SignatureError, new_key, sign_file
from ....monitor.files import read_contents
from ...in_graph.guarded_model import guard_facts
from ...inputs.networks import is_onnx
from ...printable import printable
from ..printing import answer

PASSPHRASE = "OUTRIDER_PASSPHRASE"  # noqa: S105 (the name of a variable)
"""The variable that holds the passphrase of a key, where nobody is there to be asked."""


def run(options: argparse.Namespace) -> int:
    if (options.new_key is None) == (options.key is None):
        raise ValueError("expected --key with the private key that signs, or --new-key with the file of a new one")
    if options.new_key is not None:
        if options.files:
            raise ValueError("expected --new-key alone, got files to sign too; sign them with --key then")
        public = new_key(options.new_key, os.environ.get(PASSPHRASE))
        made = {"private": str(options.new_key), "public": str(public)}
        answer(made, lambda: _print_key(options.new_key, public), as_json=options.json)
        return 0
    if not options.files:
        raise ValueError("expected a file to sign, got none")
    passphrase = _passphrase(options.key)
    for path in options.files:
        refuse_altered(path)
    signed = [{"file": str(path), "signature": str(sign_file(path, options.key, passphrase))} for path in options.files]
    text = "".join(printable(f"{one['file']}: signed, {one['signature']}") + "\n" for one in signed)
    answer(signed, lambda: sys.stdout.write(text), as_json=options.json)
    return 0


def refuse_altered(path: Path) -> None:
    """Raise ProfileError for a profile, heads file or guarded model that does not fit its digest."""
    if is_onnx(str(path)):
        guard_facts(path)
    else:
        read_contents(path)


def _passphrase(key: Path) -> str | None:
    """What decrypts the key, None for one that is not encrypted."""
    if not key.is_file() or b"ENCRYPTED" not in key.read_bytes()[:10_000]:
        return None
    if told := os.environ.get(PASSPHRASE):
        return told
    if not sys.stdin.isatty():
        raise SignatureError(f"{key}: expected its passphrase in the variable {PASSPHRASE}, got none")
    return getpass.getpass(f"passphrase of {key}: ")


def _print_key(private: Path, public: Path) -> None:
    encrypted = "encrypted" if os.environ.get(PASSPHRASE) else f"not encrypted; set {PASSPHRASE} to encrypt one"
    sys.stdout.write(
        printable(f"{private}: the private key, for the maker alone ({encrypted})") + "\n"
        + printable(f"{public}: the public key, for every machine that loads what it signed") + "\n"
    )  # fmt: skip

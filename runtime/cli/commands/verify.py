"""Check that files are what the owner of a key signed: exit status 0 when all are, 2 when any is not."""

from __future__ import annotations

import argparse
import sys

from ....monitor import verify_file
from ...printable import printable
from ..printing import answer
from .sign import refuse_altered


def run(options: argparse.Namespace) -> int:
    found = []
    for path in options.files:
        key = verify_file(path, options.key)
        refuse_altered(path)
        found.append({"file": str(path), "key": key})
    text = "".join(printable(f"{one['file']}: signed by the key {one['key'][:12]}…") + "\n" for one in found)
    answer(found, lambda: sys.stdout.write(text), as_json=options.json)
    return 0

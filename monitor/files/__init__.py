"""The files of a monitor: written whole, in one container with a digest, held against what can be, and signed."""

from __future__ import annotations

from .container import FORMAT, Contents, checked_contents, packed, read_contents, read_facts, unpacked
from .profile_file import PART, SCORES, read_network, read_profile, unpacked_profile, write_profile
from .signing import new_key, sign_file, verify_file
from .whole import file_sha256, write_whole

__all__ = [
    "FORMAT", "PART", "SCORES", "Contents", "checked_contents", "file_sha256", "new_key", "packed", "read_contents",
    "read_facts", "read_network", "read_profile", "sign_file", "unpacked", "unpacked_profile", "verify_file",
    "write_profile", "write_whole",
]  # fmt: skip

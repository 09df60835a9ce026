"""The files of a monitor: how they are written whole, the container they share, and the profile."""

from __future__ import annotations

from .container import FORMAT, packed, read_arrays, read_facts
from .profile_file import read_profile, write_profile
from .whole import file_sha256, write_whole

__all__ = [
    "FORMAT", "file_sha256", "packed", "read_arrays", "read_facts", "read_profile", "write_profile", "write_whole",
]  # fmt: skip

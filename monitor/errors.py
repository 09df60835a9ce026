"""The errors of a monitor, drawn once. The rooms below raise ValueError, TypeError and ImportError.

OutriderError
├── NotReadyError      asked for a verdict before `profile` or `calibrate`
├── ProfileError       a profile that cannot be made, written or read: truncated, hostile, of another format
│   └── MismatchError  a whole profile, but of another network
├── CalibrationError   a threshold that the held-out data cannot support
├── SignatureError     a file that its maker did not sign, or a key that cannot sign or check
└── ExportError        a model that cannot carry its monitor
"""

from __future__ import annotations

import warnings


class OutriderError(Exception):
    """The root of the tree."""


class NotReadyError(OutriderError, RuntimeError):
    """The monitor was not profiled or not calibrated yet."""


class ProfileError(OutriderError, ValueError):
    """A profile cannot be made, written or read."""


class MismatchError(ProfileError):
    """The profile belongs to another network."""


class CalibrationError(OutriderError, ValueError):
    """The held-out data cannot support the threshold that was asked for."""


class OutriderWarning(UserWarning):
    """Something a safety engineer should read: left-out frames, thin classes, a profile that knows its own data."""


class ExportError(OutriderError, ValueError):
    """The monitor cannot be put into the graph of its model."""


class SignatureError(OutriderError, ValueError):
    """A file is not signed by the key that it must be signed by, or a key cannot sign or check."""


def warn(message: str, calls: int = 1) -> None:
    """Warn the caller of a public method. calls: how many functions of ours lie between that method and this one."""
    warnings.warn(message, OutriderWarning, stacklevel=3 + calls)

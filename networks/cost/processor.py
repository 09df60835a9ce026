"""The processor by name, with what decides how fast it computes."""

from __future__ import annotations

import platform
from pathlib import Path

_VECTORS = (("avx512f", "AVX-512"), ("avx2", "AVX2"), ("sve", "SVE"), ("asimd", "NEON"), ("neon", "NEON"))
"""Flags of /proc/cpuinfo and the vector instructions that they stand for, the widest first."""


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Such as ``AMD EPYC, AVX-512``; without the vector instructions where the system does not tell.

    ONNX Runtime lays maps out by their width: in blocks of 16 channels with AVX-512, of 8 with AVX2.
    """
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    told = {key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = set(told.get("flags", told.get("features", "")).split())
    vectors = next((f", {name}" for flag, name in _VECTORS if flag in flags), "")
    return (told.get("model name") or platform.machine()) + vectors

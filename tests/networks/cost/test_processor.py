from __future__ import annotations

import platform

import pytest

from outrider.networks.cost.processor import processor

INTEL = "processor\t: 0\nmodel name\t: Some Xeon @ 2.0GHz\nflags\t\t: fpu avx avx2 avx512f\n\nprocessor\t: 1\n"
ARM = "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd crc32\nCPU part\t: 0xd0c\n"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (INTEL, "Some Xeon @ 2.0GHz, AVX-512"),
        (INTEL.replace(" avx512f", ""), "Some Xeon @ 2.0GHz, AVX2"),
        (INTEL.replace(" avx2 avx512f", ""), "Some Xeon @ 2.0GHz"),
        (ARM, f"{platform.machine()}, NEON"),
        ("", platform.machine()),
    ],
)
def test_a_processor_is_named_with_its_vectors(told, expected, tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text(told)
    assert processor(path) == expected


def test_a_system_without_cpuinfo_has_a_name_too(tmp_path):
    assert processor(tmp_path / "none") == (platform.processor() or platform.machine())

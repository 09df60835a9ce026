"""What a first use is told."""

from __future__ import annotations

import numba
import pytest

from outrider.runtime.cli.compile_notice import telling_of_compilation


def test_compilation_is_told_once():
    told = []
    with telling_of_compilation(told.append):
        numba.njit("int64(int64)")(lambda x: x + 1)
        numba.njit("int64(int64)")(lambda x: x + 2)
    assert len(told) == 1
    assert told[0].startswith("compiling the kernels")


@pytest.mark.parametrize("quiet", [True, False])
def test_nothing_is_told_where_nothing_is_compiled_or_heard(quiet):
    told = []
    with telling_of_compilation(told.append, quiet=quiet):
        if quiet:
            numba.njit("int64(int64)")(lambda x: x + 1)
    assert told == []

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outrider.monitor import ProfileError, describe_profile
from outrider.monitor.files import FORMAT, packed, read_arrays, read_facts


def test_facts_and_arrays_come_back(tmp_path):
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3).T, "b.c": np.zeros((0, 4), np.uint8)}
    (tmp_path / "file").write_bytes(packed({"format": FORMAT, "n": 3}, arrays))
    assert read_facts(tmp_path / "file") == {"format": FORMAT, "n": 3}
    _, again = read_arrays(tmp_path / "file")
    assert again.keys() == arrays.keys()
    for name, array in arrays.items():
        assert again[name].dtype == array.dtype
        np.testing.assert_array_equal(again[name], array)


@given(st.binary(max_size=400))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_bytes_are_refused(tmp_path, data):
    (tmp_path / "random.outrider").write_bytes(data)
    for read in (read_facts, describe_profile):
        with pytest.raises(ProfileError):
            read(tmp_path / "random.outrider")


def test_a_model_in_the_place_of_a_profile_is_recognised(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"\x08\x0a\x12\x07pytorch")
    words = f"{path} is a model; expected a profile, as `outrider profile {path} DATA -o {tmp_path / 'net.outrider'}` w"
    for read in (read_facts, describe_profile):
        with pytest.raises(ProfileError, match=re.escape(words)):
            read(path)

from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor import MismatchError, ProfileError
from outrider.monitor.heads import FeatureStore, HeadGuard, LastQuery, ReadOut, measure

from .conftest import FakeDecoder, safe, unsafe


def test_a_search_that_was_stopped_goes_on_where_it_was(decoder, tmp_path):
    class Stopped(Exception):
        pass

    def stop(done, every):
        if done == 12:
            raise Stopped

    path = tmp_path / "search.npz"
    with pytest.raises(Stopped):
        HeadGuard(decoder).search(unsafe(10), safe(10), store=FeatureStore(path, every=3600), progress=stop)
    again, first = FakeDecoder(), []
    store = FeatureStore(path)
    report = HeadGuard(again).search(
        unsafe(10), safe(10), permutations=0, store=store, progress=lambda done, _: first.append(done)
    )
    assert again.passes == 8
    assert first[0] == 12
    assert len(store) == 20
    plain = HeadGuard(FakeDecoder()).search(unsafe(10), safe(10), permutations=0)
    assert report.chosen == plain.chosen
    np.testing.assert_array_equal(report.auroc, plain.auroc)


def test_kept_features_are_those_measured(decoder, tmp_path):
    path = tmp_path / "kept.npz"
    found = measure(decoder, [*safe(3), ""], LastQuery(), store=FeatureStore(path))
    again = measure(decoder, [*safe(3), ""], LastQuery(), store=FeatureStore(path))
    np.testing.assert_array_equal(again.values, found.values)
    assert again.values.dtype == found.values.dtype
    assert again.lengths.tolist() == found.lengths.tolist()
    assert decoder.passes == 3
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_store_of_something_else_is_refused_by_name(decoder, tmp_path):
    path = tmp_path / "kept.npz"
    measure(decoder, safe(2), ReadOut(), store=FeatureStore(path))
    with pytest.raises(MismatchError, match="measured read_out, not last_query"):
        measure(decoder, safe(2), LastQuery(), store=FeatureStore(path))
    with pytest.raises(MismatchError, match="fingerprint"):
        measure(FakeDecoder("a" * 64), safe(2), ReadOut(), store=FeatureStore(path))
    with pytest.raises(MismatchError, match="other heads"):
        measure(decoder, safe(2), ReadOut(), [(0, 0)], store=FeatureStore(path))


@pytest.mark.parametrize("damage", [lambda data: data[:-40], lambda data: b"none", lambda data: b""])
def test_a_damaged_store_is_refused(decoder, tmp_path, damage):
    path = tmp_path / "kept.npz"
    measure(decoder, safe(2), ReadOut(), store=FeatureStore(path))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ProfileError, match="delete it to begin anew"):
        measure(decoder, safe(2), ReadOut(), store=FeatureStore(path))


def test_nothing_is_written_between_two_times(decoder, tmp_path):
    store = FeatureStore(tmp_path / "kept.npz", every=3600)
    store.open({"measured": "read_out"}, [(0, 0)])
    store.put("ab" * 32, np.zeros((1, 6), np.float32), 3)
    assert not store.path.exists()
    store.flush()
    assert store.path.exists()


def test_features_of_fewer_heads_than_the_store_says_are_damage(decoder, tmp_path):
    path = tmp_path / "kept.npz"
    measure(decoder, safe(2), ReadOut(), store=FeatureStore(path))
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **arrays | {"values": arrays["values"][:, :5]})
    with pytest.raises(ProfileError, match="expected features of 12 heads, got some of others; delete it"):
        measure(decoder, safe(2), ReadOut(), store=FeatureStore(path))

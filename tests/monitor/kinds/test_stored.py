"""Kinds in a profile file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from outrider.monitor import Monitor, ProfileError, describe_profile, transfer
from outrider.monitor.files import write_profile
from outrider.monitor.kinds.stored import packed_kinds

from .conftest import PictureNetwork


def test_what_was_learned_is_read_again(taught, tmp_path):
    taught.save(tmp_path / "m.outrider")
    again = Monitor.load(tmp_path / "m.outrider", PictureNetwork())
    kinds, read = taught.calibration.kinds, again.calibration.kinds
    assert read.to_dict() == kinds.to_dict()
    for name, array in packed_kinds(kinds)[1].items():
        np.testing.assert_array_equal(packed_kinds(read)[1][name], array)
    assert describe_profile(tmp_path / "m.outrider")["calibration"]["kinds"] == kinds.to_dict()
    moved = transfer(again, PictureNetwork(), {tap.id: tap.id for tap in again.network.taps})
    assert moved.calibration.kinds is read


def test_a_file_without_kinds_has_none(taught, tmp_path):
    write_profile(tmp_path / "m.outrider", taught.learned, taught.logic, replace(taught.calibration, kinds=None))
    assert Monitor.load(tmp_path / "m.outrider", PictureNetwork()).calibration.kinds is None


def changed(kinds, part, **values):
    return replace(kinds, **{part: replace(getattr(kinds, part), **values)}) if part else replace(kinds, **values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda k: changed(k, "rule", precision=k.rule.precision * -1), "positive definite"),
        (lambda k: changed(k, "rule", precision=np.triu(k.rule.precision)), "positive definite"),
        (lambda k: changed(k, "rule", means=k.rule.means[:, 1:]), "kinds.means: expected finite float64"),
        (lambda k: changed(k, "rule", means=k.rule.means * np.nan), "kinds.means: expected finite float64"),
        (lambda k: changed(k, "rule", far=-1.0), "expected kinds of a positive distance"),
        (lambda k: changed(k, "rule", sure=1.0), "expected kinds of a positive distance"),
        (lambda k: changed(k, "rule", causes=(("sensible", "x"), *k.rule.causes[1:])), "expected causes of sensor"),
        (lambda k: changed(k, "rule", causes=(k.rule.causes[1], *k.rule.causes[1:])), "causes that differ"),
        (lambda k: changed(k, "scales", value=k.scales.value[::-1]), "curves that never fall"),
        (lambda k: changed(k, "scales", excess=-k.scales.excess), "positive tails"),
        (lambda k: changed(k, "scales", levels=k.scales.levels[:1]), r"kinds.levels: expected finite float64 \(2,\)"),
        (lambda k: changed(k, "", frames=0), "expected kinds of a positive distance"),
        (lambda k: changed(k, "", left_out=k.left_out * 2), "shares of four kinds and unknown that add up"),
        (lambda k: changed(k, "", alarmed=dict.fromkeys(k.alarmed, (9, 5))), "at most as many alarms as examples"),
        (lambda k: changed(k, "", alarmed=dict.fromkeys(k.alarmed, (0, 5))), "that alarmed, got none"),
    ],
)
def test_what_cannot_have_been_learned_is_refused(taught, tmp_path, change, message):
    wrong = replace(taught.calibration, kinds=change(taught.calibration.kinds))
    write_profile(tmp_path / "m.outrider", taught.learned, taught.logic, wrong)
    with pytest.raises(ProfileError, match=message):
        Monitor.load(tmp_path / "m.outrider", PictureNetwork())

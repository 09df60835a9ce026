"""Old names work for one release, and say the new one."""

from __future__ import annotations

import pytest

from outrider.networks.renamed import renamed_attribute, renamed_keyword


class Box:
    old = renamed_attribute("old", "new")

    def __init__(self):
        self.new = 3

    @renamed_keyword("before", "after")
    def add(self, other, *, after=0):
        return self.new + other + after


def test_an_attribute_is_read_by_its_old_name():
    with pytest.warns(
        DeprecationWarning, match=r"^Box\.old is now new; the old name goes with the next release$"
    ) as told:
        assert Box().old == 3
    assert told[0].filename == __file__


def test_an_argument_is_taken_by_its_old_name():
    with pytest.warns(DeprecationWarning, match="^the argument before is now after") as told:
        assert Box().add(1, before=5) == 9
    assert told[0].filename == __file__
    assert Box().add(1, after=5) == 9


def test_both_names_at_once_are_refused():
    with (
        pytest.warns(DeprecationWarning, match="after"),
        pytest.raises(TypeError, match="got before too"),
    ):
        Box().add(1, before=1, after=2)

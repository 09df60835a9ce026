from __future__ import annotations

import copy

import pytest

from outrider.coverage import SingleRange
from outrider.monitor import Monitor
from outrider.monitor.attributes import close, strict
from outrider.runtime import Cusum, DriftTest, EventLog, Guard, Heartbeat, KOfN

from .conftest import frames


@strict
class Thermostat:
    """For the tests: a setting, one that comes later, a property."""

    season: str

    def __init__(self, target=20.0):
        self.target = target

    @property
    def kelvin(self):
        return self.target + 273.15

    @kelvin.setter
    def kelvin(self, value):
        self.target = value - 273.15


class Own(Thermostat):
    """A user's, without the decorator."""

    def heat(self):
        self.heated = True


@strict
class Strict(Thermostat):
    """One of ours, made of another one."""

    def __init__(self):
        super().__init__()
        self.extra = 1


def test_what_a_class_has_may_be_set_and_nothing_else():
    made = Thermostat(19)
    made.target = 21
    made.kelvin = 300
    made.season = "winter"
    assert made.target == pytest.approx(26.85)
    with pytest.raises(
        AttributeError, match=r"expected an attribute of Thermostat, got 'traget'; did you mean target\?"
    ):
        made.traget = 3
    with pytest.raises(AttributeError, match=r"Thermostat, got 'colour'$"):
        made.colour = "red"
    with pytest.raises(AttributeError, match="did you mean target"):
        copy.deepcopy(made).tarket = 1


def test_a_subclass_is_free_unless_it_is_strict_too():
    own = Own()
    own.heat()
    assert own.heated
    made = Strict()
    made.extra = made.target = 2
    with pytest.raises(AttributeError, match=r"of Strict, got 'extar'; did you mean extra\?"):
        made.extar = 1


def test_what_is_made_without_init_is_closed_by_its_maker():
    made = Thermostat.__new__(Thermostat)
    made.target, made.anything = 1, 2
    close(made)
    with pytest.raises(AttributeError, match="got 'other'"):
        made.other = 3


def test_settings_that_nobody_reads_are_refused_everywhere(monitor, tmp_path, network):
    with pytest.raises(AttributeError, match=r"attribute of Monitor, got 'treshold'; did you mean threshold\?"):
        monitor.treshold = 3.0
    monitor.save(tmp_path / "m.outrider")
    loaded = Monitor.load(tmp_path / "m.outrider", network)
    with pytest.raises(AttributeError, match="did you mean calibration"):
        loaded.calibratoin = None
    with pytest.raises(AttributeError, match="did you mean history"):
        monitor.learned.histroy = ()
    with EventLog(tmp_path / "events.jsonl") as log, Guard(monitor, log=log) as guard:
        guard(frames(1)[0])
        trusted = monitor.learned.trusted
        for made in (guard, log, guard.judge, KOfN(), Cusum(), DriftTest(0.1), Heartbeat(), trusted):
            with pytest.raises(AttributeError):
                made.deadlin = 1.0


def test_a_monitor_of_the_users_own_takes_what_it_likes(network):
    class Mine(Monitor):
        def profile(self, batches, **options):
            self.began = True
            return super().profile(batches, **options)

    mine = Mine(network, SingleRange())
    mine.profile([frames(100)])
    mine.note = "night"
    assert (mine.began, mine.note) == (True, "night")

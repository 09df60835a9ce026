"""The network of a profile is opened as the profile says, and another one is refused and closed."""

from __future__ import annotations

import pytest

from outrider.monitor import MismatchError
from outrider.monitor.facts.network import NetworkFacts
from outrider.monitor.facts.opening import opened_for

from ..conftest import NumpyNetwork


def test_the_network_itself_is_taken():
    network = NumpyNetwork()
    assert opened_for("x.outrider", NetworkFacts.of(network, network.taps), network) is network


def test_another_is_refused_by_name_and_stays_open():
    facts, other = NetworkFacts.of(NumpyNetwork(), NumpyNetwork().taps), NumpyNetwork(seed=1)
    other.close = lambda: pytest.fail("it is the caller's to close")
    with pytest.raises(MismatchError, match=r"x.outrider: expected the network it was learned from"):
        opened_for("x.outrider", facts, other)


def test_what_cannot_be_opened_is_no_network_of_this_profile():
    facts = NetworkFacts.of(NumpyNetwork(), NumpyNetwork().taps)
    with pytest.raises(MismatchError, match="of engine numpy; `transfer` moves it"):
        opened_for("x.outrider", facts, 3)

"""The network of a profile, opened and held against what the profile says of it."""

from __future__ import annotations

import os
from typing import Any

from ...networks import Network
from ...networks.adapting import as_network, is_network
from ..errors import MismatchError
from .network import NetworkFacts


def opened_for(path: str | os.PathLike, facts: NetworkFacts, network: Any) -> Network:
    """The network that a profile was learned from, told to take pictures as the profile says.

    path: of the profile, for errors. Raises MismatchError for another network.
    """
    try:
        opened = network if is_network(network) else as_network(network, **facts.options())
    except (TypeError, ValueError) as error:
        engine = f", of engine {facts.engine}; `transfer` moves it to another form of the network"
        raise MismatchError(
            f"{path}: expected the network it was learned from, got another: {error}{engine}"
        ) from error
    try:
        facts.refuse_another(path, NetworkFacts.of(opened, opened.taps))
    except MismatchError:
        if opened is not network:
            opened.close()
        raise
    facts.prepare(opened)
    return opened

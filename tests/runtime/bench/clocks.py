"""A clock that only moves when a call says that it took a while."""

from __future__ import annotations

from types import SimpleNamespace

from outrider.networks.cost import timing


class Clock:
    """Stands in for `time` in paired timing. log: the calls in their order."""

    def __init__(self, monkeypatch):
        self.now, self.log = 0.0, []
        monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: self.now))

    def call(self, name, seconds):
        """A call that takes so long; the first takes a thousand seconds more."""

        def taking():
            self.now += seconds + (0 if name in self.log else 1000)
            self.log.append(name)

        return taking

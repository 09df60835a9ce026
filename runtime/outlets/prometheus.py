"""The counters of a loop as Prometheus reads them: text, and a server of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ...networks.packages import require
from ..forks import left_by_forks
from ..loop.metrics import Histogram, Metrics
from ..printable import printable

if TYPE_CHECKING:
    from prometheus_client.core import Metric


class MetricsServer:
    """Prometheus text at http://address:port/metrics, from a thread of its own. port: the one it listens at."""

    def __init__(self, metrics: Metrics | Mapping[str, Metrics], port: int, address: str) -> None:
        prometheus, registry = _registry(metrics)
        self._server, self._thread = prometheus.start_http_server(port, address, registry)
        self.port: int = self._server.server_port
        self._left = False
        left_by_forks(self, MetricsServer._leave)

    def _leave(self) -> None:
        """In the child of a fork, which has no such thread: leave the port to the parent."""
        self._left = True
        self._server.socket.close()

    def close(self) -> None:
        """Stop listening."""
        if self._left:
            return
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def serve_metrics(
    metrics: Metrics | Mapping[str, Metrics], port: int = 9464, address: str = "127.0.0.1"
) -> MetricsServer:
    """Serve one loop's metrics, or several by name. Other machines see them with another address; port 0: a free one.

    Where a loop has streams, each is told apart by the label `stream`.
    Raises ImportError naming the extra `metrics`, OSError for a port in use.
    """
    return MetricsServer(metrics, port, address)


def metrics_text(metrics: Metrics | Mapping[str, Metrics]) -> str:
    """The same as text. Raises ImportError naming the extra `metrics`."""
    prometheus, registry = _registry(metrics)
    return str(prometheus.generate_latest(registry).decode())


def _registry(metrics: Metrics | Mapping[str, Metrics]) -> tuple[Any, Any]:
    """The package, and its registry of these counters."""
    prometheus = require("prometheus_client", "metrics for Prometheus need one more package", "metrics")
    registry = prometheus.CollectorRegistry(auto_describe=False)
    registry.register(_Collector(metrics))
    return prometheus, registry


class _Collector:
    """Reads the counters when Prometheus asks for them."""

    def __init__(self, metrics: Metrics | Mapping[str, Metrics]) -> None:
        loops = {"": metrics} if isinstance(metrics, Metrics) else metrics
        self._loops = {printable(name): loop for name, loop in loops.items()}

    def collect(self) -> Iterable[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        labels, loops = ["guard"], [([name], metrics) for name, metrics in self._loops.items()]
        if any(metrics.streams for _, metrics in loops):
            labels = ["guard", "stream"]
            loops = [
                ([*values, printable(stream)], one)
                for values, metrics in loops
                for stream, one in {"": metrics, **metrics.streams}.items()
                if stream or one.counters.frames or not metrics.streams
            ]
        for name, about in _COUNTERS.items():
            family = CounterMetricFamily(f"outrider_{name}", about, labels=labels)
            for values, metrics in loops:
                family.add_metric(values, getattr(metrics.counters, name))
            yield family
        kinds = CounterMetricFamily("outrider_frames_of_kind", "Frames of each kind of alarm", labels=[*labels, "kind"])
        for values, metrics in loops:
            for kind, count in metrics.by_kind.items():
                kinds.add_metric([*values, kind], count)
        yield kinds
        latency = HistogramMetricFamily("outrider_frame_seconds", "From frame to verdict", labels=labels)
        for values, metrics in loops:
            latency.add_metric(values, _octaves(metrics.latency), metrics.latency.sum / 1e6)
        yield latency
        ratio = HistogramMetricFamily("outrider_score_ratio", "Score / threshold of judged frames", labels=labels)
        for values, metrics in loops:
            ratio.add_metric(values, _ratios(metrics.margins), float(metrics.scores[2]))
        yield ratio
        for name, about in _GAUGES.items():
            gauge = GaugeMetricFamily(f"outrider_{name}", about, labels=labels)
            for values, metrics in loops:
                score, threshold = metrics.scores[:2].tolist()
                of_last = {"score": score, "threshold": threshold, "margin": threshold - score}
                value = {"status": metrics.status, **of_last, **metrics.figures()}.get(name, math.nan)
                if not math.isnan(value):  # NaN: nothing to tell yet
                    gauge.add_metric(values, float(value))
            yield gauge


_COUNTERS = {
    "frames": "Frames that came in",
    "warnings": "Frames above the warning level",
    "alarms": "Frames with a score above the threshold, before hysteresis",
    "faults": "Frames that ended in FAULT",
    "stale": "Frames that ended in STALE",
    "episodes": "Times that the loop left OK and WARN, for ALARM, FAULT or STALE",
    "deadline_misses": "Frames slower than the deadline",
    "silences": "Times that no frame came for longer than is allowed",
    "dropped_events": "Events lost by the event log",
    "log_failures": "Frames at which the event log failed",
    "frames_dropped": "Pictures of a live source that a newer one replaced before they were judged",
    "reconnects": "Times that a live source was there again",
}
_GAUGES = {
    "status": "Of the loop: 0 OK, 1 WARN, 2 ALARM, 3 FAULT, 4 STALE",
    "score": "Of the last frame; infinite where it was not judged",
    "threshold": "That the last frame was held against",
    "margin": "Threshold minus score of the last frame; below 0 it is above the threshold",
    "availability_ratio": "Share of the time with a verdict that is neither FAULT nor STALE",
    "blind_seconds": "Time in which no frame came",
    "alarms_per_hour": "Frames that alarmed per hour since the start",
    "calibrated_alarms_per_hour": "What the calibrated false-alarm rate comes to at this frame rate",
    "drift_evidence": "Evidence that the calibration no longer holds (an e-value; 1 is none)",
    "calibration_holds": "1 until the drift test rejects",
}


RATIOS = 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0
"""Where the buckets of score / threshold end: eighths up to the threshold, and coarser above it."""


def _ratios(histogram: Histogram) -> list[tuple[str, float]]:
    """(end, judged frames below it), and all of them last."""
    below = dict(zip(histogram.upper, histogram.counts.cumsum().tolist(), strict=True))
    return [*((repr(end), below[end]) for end in RATIOS), ("+Inf", below[math.inf])]


def _octaves(histogram: Histogram) -> list[tuple[str, float]]:
    """(upper end in seconds, frames up to it), one bucket to an octave from 8 µs on."""
    counts = histogram.counts.tolist()
    buckets, total = [], 0.0
    for upper, count in zip(histogram.upper, counts, strict=True):
        total += count
        if upper == float("inf"):
            buckets.append(("+Inf", total))
        elif upper >= 8 and int(upper) & (int(upper) - 1) == 0:
            buckets.append((repr(upper / 1e6), total))
    return buckets

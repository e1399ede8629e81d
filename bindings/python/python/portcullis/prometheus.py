"""The metrics of plugins, for `prometheus_client`. Before anything else of this package:

    Engine(metrics=prometheus.metrics())

Their names and labels are those of the gateway.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["metrics"]

# In seconds, from a call of a plugin in Rust to one that waits for an identity provider. The gateway has the same.
_BUCKETS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0)
_HELP = "A metric of Portcullis, which its page about metrics explains"


def metrics(
    registry: CollectorRegistry = REGISTRY,
) -> Callable[[str, Literal["counter", "gauge", "histogram"], dict[str, str], float], None]:
    """A function for `Engine(metrics=…)`, which adds the metrics to a registry. In the multiprocess mode of `prometheus_client`,
    those of all processes are added up."""
    known: dict[str, Counter | Gauge | Histogram] = {}

    def record(name: str, kind: Literal["counter", "gauge", "histogram"], labels: dict[str, str], value: float) -> None:
        metric = known.get(name)
        if metric is None:
            metric = known[name] = _metric(name, kind, sorted(labels), registry)
        one = metric.labels(**labels) if labels else metric
        if isinstance(one, Counter):
            one.inc(value)
        elif isinstance(one, Gauge):
            one.set(value)
        else:
            one.observe(value)

    return record


def _metric(
    name: str, kind: Literal["counter", "gauge", "histogram"], labels: list[str], registry: CollectorRegistry
) -> Counter | Gauge | Histogram:
    match kind:
        case "counter":
            return Counter(name, _HELP, labels, registry=registry)
        case "gauge":
            return Gauge(name, _HELP, labels, registry=registry, multiprocess_mode="livesum")
        case "histogram":
            return Histogram(name, _HELP, labels, registry=registry, buckets=_BUCKETS)

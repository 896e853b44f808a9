"""Providers of OpenTelemetry that keep in memory what they are told, in place of those of the process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.metrics import _internal as metrics_of_process
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler
from opentelemetry.util._once import Once


@contextmanager
def no_providers() -> Iterator[None]:
    """Let the process have no providers, and take some again, until the end of the block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("OTEL_SDK_DISABLED", raising=False)
        patch.setattr(trace, "_TRACER_PROVIDER", None)
        patch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", Once())
        patch.setattr(metrics_of_process, "_METER_PROVIDER", None)
        patch.setattr(metrics_of_process, "_METER_PROVIDER_SET_ONCE", Once())
        patch.setattr(metrics_of_process, "_PROXY_METER_PROVIDER", metrics_of_process._ProxyMeterProvider())
        yield


class Collector:
    """What was told to OpenTelemetry."""

    def __init__(self, sampler: Sampler = ALWAYS_ON) -> None:
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.tracers = TracerProvider(sampler, shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.meters = MeterProvider([self._reader], shutdown_on_exit=False)

    def install(self) -> None:
        """Become the providers of the process, as an application does it."""
        trace.set_tracer_provider(self.tracers)
        metrics.set_meter_provider(self.meters)

    def watch(self, processor: SpanProcessor) -> None:
        """Tell another processor, too."""
        self.tracers.add_span_processor(processor)

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """The spans that have ended, in the order of their ends."""
        return self._exporter.get_finished_spans()

    @property
    def span(self) -> ReadableSpan:
        """The only one."""
        (span,) = self.spans
        return span

    def points(self, name: str) -> list[Any]:
        """What was measured under a name."""
        return [point for metric in self._metrics() if metric.name == name for point in metric.data.data_points]

    def point(self, name: str) -> Any:
        """The only one."""
        (point,) = self.points(name)
        return point

    def units(self) -> dict[str, str]:
        """The unit of each metric."""
        return {metric.name: metric.unit for metric in self._metrics()}

    def text(self) -> str:
        """All of it as an exporter would write it."""
        data = self._reader.get_metrics_data()
        return "\n".join([*(span.to_json() for span in self.spans), data.to_json() if data else ""])

    def close(self) -> None:
        """End both providers."""
        self.tracers.shutdown()
        self.meters.shutdown()

    def _metrics(self) -> Iterator[Any]:
        data = self._reader.get_metrics_data()
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                yield from scope.metrics


@contextmanager
def collecting(sampler: Sampler = ALWAYS_ON) -> Iterator[Collector]:
    """The providers of the process until the end of the block."""
    collector = Collector(sampler)
    with no_providers():
        collector.install()
        yield collector
    collector.close()


def current_name() -> str | None:
    """The name of the span that is current here; None for none."""
    return getattr(trace.get_current_span(), "name", None)


def told(span: ReadableSpan) -> dict[str, Any]:
    """The attributes of a span."""
    return dict(span.attributes or {})


def story(span: ReadableSpan) -> list[dict[str, Any]]:
    """The attributes of a span's events, without their durations."""
    hidden = "klickdoxie.attempt.duration"
    told = [event.attributes or {} for event in span.events]
    return [{name: value for name, value in attributes.items() if name != hidden} for attributes in told]

"""Spans are made where OpenTelemetry is set up, and nothing is in them that may not be."""

from collections.abc import Iterator

import pytest

from linkage import tracing
from linkage.tracing import span

sdk = pytest.importorskip("opentelemetry.sdk.trace", reason="pip install opentelemetry-sdk")
export = pytest.importorskip("opentelemetry.sdk.trace.export")
memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Iterator[memory.InMemorySpanExporter]:
    exporter, provider = memory.InMemorySpanExporter(), sdk.TracerProvider()
    provider.add_span_processor(export.SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", lambda: provider.get_tracer("padan"))
    yield exporter
    provider.shutdown()


def test_a_span_has_what_is_known_before_and_after(exported: memory.InMemorySpanExporter) -> None:
    with span("GetJob", **{"rpc.method": "/x/GetJob"}) as note:
        note("rpc.response.status_code", "OK")
    (made,) = exported.get_finished_spans()
    assert made.name == "GetJob"
    assert dict(made.attributes) == {"rpc.method": "/x/GetJob", "rpc.response.status_code": "OK"}


def test_the_text_of_an_error_is_in_no_span(exported: memory.InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="Siti"), span("job"):
        raise ValueError("Siti Aminah")
    assert "Siti" not in exported.get_finished_spans()[0].to_json()


def test_without_opentelemetry_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "_tracer", lambda: None)
    with span("job") as note:
        note("padan.job", "x")

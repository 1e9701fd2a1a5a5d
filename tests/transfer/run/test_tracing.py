"""Spans of runs and steps, where OpenTelemetry is installed; of an error its kind alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.transfer.run import tracing
from tests.transfer.hosts import made_run


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Any:
    pytest.importorskip("opentelemetry.sdk", reason="a tool of developers")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "find_tracer", lambda: provider.get_tracer("flask_ferry"))
    return exporter


def test_steps_lie_within_the_run_and_no_value_is_told(tmp_path: Path, exporter: Any) -> None:
    run = made_run(tmp_path)
    with tracing.trace("flask db-migrate-data", run=run.id):
        with run.show_step("load"):
            pass
        with pytest.raises(ValueError, match="hunter2"), run.show_step("verify"):
            raise ValueError("hunter2")
    load, verify, whole = exporter.get_finished_spans()
    assert [span.name for span in (load, verify, whole)] == ["load", "verify", "flask db-migrate-data"]
    assert load.parent == verify.parent == whole.context
    assert dict(load.attributes or {}) == {"ferry.run": run.id, "ferry.command": "db-migrate-data"}
    assert (verify.status.is_ok, verify.status.description) == (False, "ValueError")
    assert "hunter2" not in verify.to_json()


@pytest.fixture
def _absent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", None)
    tracing.find_tracer.cache_clear()
    yield
    tracing.find_tracer.cache_clear()


@pytest.mark.usefixtures("_absent")
def test_without_it_nothing_is_done() -> None:
    with tracing.trace("load"):
        assert tracing.find_tracer() is None

"""Spans of OpenTelemetry for runs and their steps, where the app has its API installed; else nothing."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer


@contextlib.contextmanager
def trace(name: str, **attributes: str) -> Iterator[None]:
    """A span for what is done inside.

    Of an error only the kind is in it: its words may hold values of rows.

    :param attributes: each is called ``ferry.`` and its name.
    """
    tracer = find_tracer()
    if tracer is None:
        yield
        return
    from opentelemetry.trace import Status, StatusCode

    named = {f"ferry.{key}": value for key, value in attributes.items()}
    with tracer.start_as_current_span(
        name, attributes=named, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield
        except BaseException as error:
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise


@functools.cache
def find_tracer() -> Tracer | None:
    """Ferry's own; without an SDK that the app sets up it does nothing."""
    try:
        from opentelemetry.trace import get_tracer
    except ImportError:
        return None
    return get_tracer("flask_ferry")

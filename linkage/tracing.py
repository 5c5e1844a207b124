"""Spans of OpenTelemetry, where it is installed (extra `otel`) and set up; else nothing.

Who runs a program under `opentelemetry-instrument` chooses the exporter there. Names and
attributes are of calls, jobs and states, never of records. A caller's trace is not continued: it is
another organisation's, and whoever sends an identifier would choose what stands in ours.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any


@contextmanager
def span(name: str, **attributes: str) -> Iterator[Callable[[str, str], None]]:
    """Trace a block.

    Args:
        name: of the kind of work; there are few.
        attributes: what is known before.

    Yields:
        What sets an attribute that is known only later: name, value.
    """
    tracer = _tracer()
    if tracer is None:
        yield lambda _name, _value: None
        return
    # Texts of errors are for the log, which bounds what they hold.
    with tracer.start_as_current_span(
        name, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as current:
        yield current.set_attribute


@cache
def _tracer() -> Any:
    try:
        from opentelemetry import trace  # noqa: PLC0415 -- an extra
    except ImportError:
        return None
    return trace.get_tracer("padan")

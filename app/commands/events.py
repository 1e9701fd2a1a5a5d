"""What ``--json`` prints: one object a line, each with version, time, run and step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from ..transfer.run.report import now

EVENT_FORMAT = 1
"""The version of the events; ``docs/events.schema.json`` describes them."""


def print_json(
    kind: str, data: Mapping[str, Any], run: str | None = None, step: str | None = None, bind: str | None = None
) -> None:
    """Print one event.

    :param run: the run's id; None where the command ended before it had one.
    :param step: the step at work, if there is one.
    :param bind: which database of the app, where one of several was chosen, or all.
    """
    envelope = {"event": kind, "version": EVENT_FORMAT, "time": now(), "run": run, "step": step, "bind": bind}
    click.echo(json.dumps({**envelope, **data}, default=str))

"""The report of a run as one page for a browser: nothing is fetched, and nothing in it runs."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from ..errors import FerryError
from ..transfer.run.ledger import REHEARSED
from ..transfer.run.report import Report
from .hints import Typed, name_bind, name_program
from .receipt import PLAIN, describe_wait, format_duration, sections
from .render import LIVE
from .unseen import show_unseen

_HERE = Path(__file__).parent
_GOOD = ("done", "nothing to do", "equal", "checked", "pruned", "listed", "unlocked", "dry run", REHEARSED)


def render_page(report: Report, typed: Typed = PLAIN) -> str:
    """The whole page.

    :param typed: the command, for those that are shown.
    """
    part = _describe(report, typed)
    return _render(report.command, [part], **{name: part[name] for name in ("verdict", "tone", "headline", "live")})


def render_pages(reports: Mapping[str, Report], summary: str, error: FerryError | None, typed: Typed) -> str:
    """One page for the runs of several databases.

    :param error: what stopped them, with the way on.
    :param typed: the command, for those that are shown.
    """
    parts = [
        {**_describe(report, typed), "bind": name, "prefix": f"part{number}-"}
        for number, (name, report) in enumerate(reports.items(), 1)
    ]
    tones = {part["tone"] for part in parts}
    tone = next(tone for tone in ("bad", "plain", "good") if tone in tones or tone == "good")
    [command] = {report.command for report in reports.values()}
    return _render(
        command,
        parts,
        verdict="failed" if error else "all databases",
        tone="bad" if error else tone,
        headline=error.message if error else summary,
        live=None,
        hint=error.hint if error else None,
    )


def _render(command: str, parts: list[dict[str, Any]], *, hint: str | None = None, **head: str | None) -> str:
    style = (_HERE / "page.css").read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=_finalize, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((_HERE / "page.html").read_text(encoding="utf-8"))
    # The style is ours, and its digest is in the policy: no other one counts, and no script at all.
    inline = Markup(style)  # noqa: S704
    helpers = {
        "good": _GOOD,
        "number": lambda value: "" if value is None else f"{value:,}",
        "duration": format_duration,
        "time": _format_time,
        "bars": _draw_bars,
    }
    policy = _make_policy(style)
    return template.render(command=command, parts=parts, hint=hint, style=inline, policy=policy, **head, **helpers)


def _make_policy(style: str) -> str:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _finalize(value: Any) -> Any:
    """A value to be shown."""
    return show_unseen(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _describe(report: Report, typed: Typed) -> dict[str, Any]:
    """Everything that the page shows of one run."""
    failed = report.error is not None
    looked = report.command == "db-status" and not failed
    present_rows = sorted(report.target.get("rows", {}).items(), key=lambda item: -item[1]) if looked else []
    counts = [item.rows for item in report.tables] + [rows for _, rows in present_rows]
    good = report.outcome in _GOOD or (looked and not report.target.get("problems"))
    next_command = report.target.get("next_command") if looked else None
    return {
        "verdict": "failed" if failed else "status" if looked else report.outcome,
        "tone": "bad" if failed or report.outcome == "different" else "good" if good else "plain",
        "headline": report.error["message"] if report.error else report.summary,
        "live": name_bind(LIVE[report.live], typed) if failed or report.live == "replaced" else None,
        "way_back": report.rollback and name_program(report.rollback, typed),
        "next_command": next_command and name_program(next_command, typed),
        "facts": list(_list_facts(report)),
        "flow": list(_list_flow(report)),
        "sections": list(sections(report)),
        "present_rows": present_rows,
        "most_rows": max(counts, default=0),
        "longest": max(report.seconds.values(), default=0),
        "report": report.to_json(),
        "bind": None,
        "prefix": "",
    }


def _format_time(text: str | None) -> str:
    """A time of a report, to the second."""
    return "" if text is None else f"{text[:10]} {text[11:19]} UTC"


def _list_facts(report: Report) -> Iterator[tuple[str, str]]:
    looked = report.target.get("database")
    database = looked if isinstance(looked, dict) else report.target
    revisions = report.revisions
    facts = {
        "Run": report.run,
        "Began": _format_time(report.started_at),
        "Ended": _format_time(report.finished_at),
        "Took": None if report.duration_s is None else format_duration(report.duration_s),
        "Waiting": describe_wait(report),
        "By": f"{report.user} on {report.host}",
        "Database": database.get("database"),
        "Server": database.get("server") and f"{database['server']} on {database.get('host')}",
        "Environment": database.get("environment"),
        "Source": report.source.get("label") or report.source.get("loads"),
        "Read": report.source.get("read"),
        "Revision before": revisions.get("before"),
        "Revision of the source": revisions.get("source"),
        "Revision now": revisions.get("live") or report.target.get("revision"),
        "Head": report.target.get("head"),
        "Backup": report.backup,
        "Snapshot": report.snapshot,
        "Report": report.file,
    }
    yield from ((name, str(value)) for name, value in facts.items() if value)


def _list_flow(report: Report) -> Iterator[tuple[str, int]]:
    tables = report.tables
    yield "read", sum(item.rows for item in tables)
    yield "waived", sum(item.waived for item in tables)
    yield "set aside", sum(item.set_aside for item in tables)
    yield "loaded", sum(item.loaded for item in tables)
    at_head = [item.rows_at_head for item in tables if item.rows_at_head is not None]
    if at_head:
        yield "after the upgrade", sum(at_head)


def _draw_bars(parts: list[tuple[float, str]], longest: float) -> Markup:
    """Bars in a row; the numbers stand beside them, so who does not see them misses nothing.

    :param parts: each part's length and CSS class.
    :param longest: the length that fills the whole width.
    """
    drawing, at = [], 0.0
    for length, kind in parts:
        width = 100 * length / longest if longest else 0
        if width:
            drawing.append(f'<rect class="{kind}" x="{at:.3f}%" width="{max(width, 0.4):.3f}%" height="100%"/>')
        at += width
    return Markup(f'<svg aria-hidden="true" focusable="false">{"".join(drawing)}</svg>')  # noqa: S704

"""The report as a page: whatever a database holds, nothing in it runs, nothing is fetched, and all of it is there."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import axe_core_python
import pytest
from jinja2 import TemplateError

from app.commands.hints import Typed
from app.commands.outcome import format_report, write_report
from app.commands.page import render_page
from app.commands.receipt import PLAIN, sections
from app.commands.render import Output, Renderer
from app.transfer.run.report import Report, TableReceipt

VOID = {"meta", "rect"}
HOSTILE = (
    "<script>document.title='owned'</script>",
    '"><img src=x onerror="document.title=\'owned\'">',
    "</style></title></svg><script>document.title='owned'</script>",
    "{{ 7 * 7 }}{% raw %}",
    "<!-- --><iframe src=javascript:document.title='owned'>",
    "a\u202eb\x00\x1b[31m\ud800",
    "&lt;b&gt;",
)

IN_A_BROWSER = pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium")


class Reader(HTMLParser):
    """Takes a page apart: its elements with their attributes, its text, and whether each element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"]:
            self.text += data


def hostile_report() -> Report:
    report = Report(run="r", command="db-migrate-data", host=HOSTILE[0], user=HOSTILE[1], live="replaced")
    report.tables = [TableReceipt(name, 10, 7, 2, 1, "0" * 32, 9) for name in HOSTILE]
    report.waived = [{"what": f"table {name}", "rows": 4, "reason": name} for name in HOSTILE]
    for attribute in ("losses", "not_migrated", "objects", "changed_values", "carried", "notes", "moves"):
        setattr(report, attribute, list(HOSTILE))
    report.differences = [{"table": n, "key": [n], "kind": "changed", "columns": {n: [n, n]}} for n in HOSTILE]
    report.target = {"database": HOSTILE[2], "server": HOSTILE[3], "host": HOSTILE[4], "environment": HOSTILE[5]}
    report.source = {"label": HOSTILE[6]}
    report.seconds = dict.fromkeys(HOSTILE, 1.5)
    report.rollback = "flask db-rollback"
    report.runs = [
        {
            **dict.fromkeys(("run", "command", "started_at", "finished_at", "outcome", "error", "source"), name),
            "duration_s": 1.0,
            "cut_over": True,
            "revision": name,
            "rows": 3,
            "backup": name,
            "undone": True,
        }
        for name in HOSTILE
    ]
    return report.end("done", HOSTILE[0])


def failed_report() -> Report:
    report = hostile_report()
    report.error = {"message": HOSTILE[0], "details": list(HOSTILE), "hint": HOSTILE[2]}
    return report


@pytest.mark.parametrize(
    "report", [hostile_report(), failed_report(), Report(run="r", command="db-status").end("", "")]
)
def test_nothing_of_a_database_becomes_part_of_the_page(report: Report) -> None:
    page = Reader(render_page(report))
    assert {tag for tag, _ in page.elements} <= {
        *("html", "head", "meta", "title", "style", "body", "a", "header", "main", "section", "p", "h1", "h2", "h3"),
        *("span", "dl", "div", "dt", "dd", "bdi", "pre", "ol", "ul", "li", "strong", "table", "caption", "thead"),
        *("tbody", "tr", "th", "td", "svg", "rect", "details", "summary", "code"),
    }
    names = {name for _, attributes in page.elements for name in attributes}
    assert not [name for name in names if name.startswith("on") or name in ("src", "style", "action", "srcdoc")]
    assert [attributes["href"] for tag, attributes in page.elements if tag == "a"] == ["#main"]


def test_everything_is_there_and_what_nobody_sees_has_its_number() -> None:
    report = hostile_report()
    text = Reader(render_page(report, Typed("flask --app library", "db-status"))).text
    for name in HOSTILE:
        shown = name.translate({0x202E: "\\u202e", 0: "\\u0000", 0x1B: "\\u001b", 0xD800: "\\ud800"})
        assert text.count(shown) >= 10
    for section in sections(report):
        assert section.title in text or "\\u" in text
    assert "flask --app library db-rollback" in text
    for count, words in ((70, "read"), (14, "waived"), (7, "set aside"), (49, "loaded"), (63, "after the upgrade")):
        assert f"{count} {words}" in text
    assert "49\n" not in text  # no template in a name was carried out


def test_the_policy_allows_this_style_and_nothing_else() -> None:
    text = render_page(hostile_report())
    style = text.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = (
        attributes["content"]
        for tag, attributes in Reader(text).elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert "@import" not in style
    assert "url(" not in style


def test_who_cannot_see_or_has_no_mouse_gets_all_of_it() -> None:
    page = Reader(render_page(hostile_report()))
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    for tag, attributes in page.elements:
        if tag == "th":
            assert attributes["scope"] in ("row", "col")
        if tag == "svg":
            assert attributes["aria-hidden"] == "true"
        if tag == "section":
            assert attributes["aria-labelledby"] in ids
        if attributes.get("class") == "scroll":
            assert (attributes["tabindex"], attributes["role"]) == ("0", "region")
            assert attributes["aria-label"]
    assert page.elements[0] == ("html", {"lang": "en"})
    assert [tag for tag, _ in page.elements].count("h1") == 1


@IN_A_BROWSER
def test_a_browser_runs_nothing_of_it(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(render_page(failed_report()))
    shown = browse(tmp_path)
    assert "<title>db-migrate-data: failed</title>" in shown
    page = Reader(shown)
    assert not {"script", "img", "iframe"} & {tag for tag, _ in page.elements}


def status_report() -> Report:
    report = Report(run="r", command="db-status", target={"rows": {"users": 3, "posts": 12}, "next_command": "flask x"})
    report.runs = [{**hostile_report().runs[0], "outcome": outcome} for outcome in ("done", "failed", "rehearsed")]
    return report.end("looked", "the database is behind head")


AXE = """
axe.run(document).then(({violations, incomplete}) => {
  const nodes = [...violations, ...incomplete].flatMap(rule => rule.nodes.map(node => `${rule.id}: ${node.html}`));
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  document.title = JSON.stringify({nodes, dark});
});
"""


@IN_A_BROWSER
@pytest.mark.parametrize(
    ("report", "dark"),
    [(failed_report(), False), (failed_report(), True), (status_report(), False)],
    ids=["failed", "failed in the dark", "status"],
)
def test_axe_has_nothing_to_say(tmp_path: Path, report: Report, dark: bool) -> None:
    """Rules for accessibility that a program can look for, contrast among them; its policy would forbid the program."""
    page = re.sub(r"<meta http-equiv=[^>]*>", "", render_page(report))
    axe = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    (tmp_path / "page.html").write_text(page.replace("</body>", f"<script>{axe}</script><script>{AXE}</script></body>"))
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    done = browse(tmp_path, scheme, "--virtual-time-budget=60000")
    assert json.loads(html.unescape(done.partition("<title>")[2].partition("</title>")[0])) == {
        "nodes": [],
        "dark": dark,
    }


def browse(directory: Path, *options: str) -> str:
    """What Chromium makes of ``page.html``."""
    command = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu"]
    command += [f"--user-data-dir={directory / 'profile'}", *options, "--dump-dom", (directory / "page.html").as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def test_what_ferry_did_not_foresee_has_a_page_too() -> None:
    report = hostile_report()
    report.fail(KeyError("of the app's own code"))
    assert "KeyError: &#34;of the app&#39;s own code&#34;" in render_page(report)


def test_a_page_that_cannot_be_rendered_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_arguments: object) -> str:
        raise TemplateError("no such thing")

    monkeypatch.setattr("app.commands.page.render_page", fail)
    monkeypatch.setattr("app.commands.outcome.get_typed_command", lambda: PLAIN)
    report = hostile_report()
    write_report(tmp_path / "page.html", lambda path: format_report(report, path), Renderer(Output(), PLAIN))
    assert "page.html could not be written: no such thing" in capsys.readouterr().err

"""An app of its own migrates from an old API of its own: what docs/adapters.md declares, as it stands there."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.scenarios.small_host import SmallHost, succeeded
from tests.support.library import BOOKS, LOANS, PASSWORD, UID, Library
from tests.support.pages import take
from tests.support.site import ROOT, Result, query

TABLES = (
    "CREATE TABLE books (id INTEGER PRIMARY KEY, isbn VARCHAR(20) NOT NULL UNIQUE, title VARCHAR(99), "
    "tags JSON NOT NULL)",
    "CREATE TABLE copies (id INTEGER PRIMARY KEY, book_id INTEGER NOT NULL REFERENCES books (id), shelf VARCHAR(9))",
    "CREATE TABLE loans (id INTEGER PRIMARY KEY, book_id INTEGER NOT NULL REFERENCES books (id), "
    "copy_id INTEGER REFERENCES copies (id), lent_on DATETIME NOT NULL, reader VARCHAR(99))",
)
HEAD = ("ALTER TABLE loans ADD COLUMN due DATE", "UPDATE loans SET due = date(lent_on, '+28 days')")


@pytest.fixture
def library() -> Iterator[Library]:
    with Library() as library:
        yield library


@pytest.fixture
def host(tmp_path: Path) -> SmallHost:
    host = SmallHost(tmp_path, make_url(f"sqlite:///{tmp_path / 'live.db'}"))
    host.revise(*TABLES, name="3f1c0a")
    host.revise(*HEAD, name="due", down="3f1c0a")
    (tmp_path / "shop").mkdir()
    code = "\n".join(take("docs/adapters.md")).replace("flask_ferry.", "app.")
    (tmp_path / "shop" / "adapters.py").write_text(code, encoding="utf-8")
    return host


def settings_of(host: SmallHost, library: Library) -> dict[str, str]:
    return {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(host.directory)]),
        "FLASK_FERRY_ADAPTERS": "shop.adapters",
        "FLASK_FERRY_SOURCE": f"{library.url}/bearer",
        "FLASK_FERRY_SOURCE_UID": UID,
        "FLASK_FERRY_SOURCE_PASSWORD": PASSWORD,
        "FLASK_FERRY_TIMEOUT": "6",
        "FLASK_FERRY_FALLBACK": "never",
    }


@pytest.mark.executes("docs/adapters.md")
def test_the_example_carries_an_old_api_over(host: SmallHost, library: Library) -> None:
    # The log-in is one for all: who has the token may read every kind of pages.
    settings = settings_of(host, library)

    def migrate(*options: str, **more: str) -> Result:
        done = host.flask("db-migrate-data", "--yes", *options, **(settings | more))
        assert "Traceback" not in done.stderr
        assert PASSWORD not in done.stdout + done.stderr
        return done

    without = {name: value for name, value in settings.items() if name != "FLASK_FERRY_SOURCE_UID"}
    done = host.flask("db-migrate-data", "--yes", **without)
    assert (done.status, "FERRY_SOURCE_UID is not set" in done.stderr) == (2, True), done.stderr
    assert library.asked == []
    done = migrate(FLASK_FERRY_SOURCE_PASSWORD="wrong")
    assert (done.status, "refuses the credentials" in done.stderr) == (12, True), done.stderr
    for fault, status, words in (
        ("field", 22, "has no 'title'"),
        ("surprise", 22, "no adapter reads or waives books.surprise"),
        ("redirect", 3, "redirects to another host"),
    ):
        library.control({"kind": fault, "path": "books", "times": 999})
        done = migrate()
        assert (done.status, words in done.stderr) == (status, True), done.stderr
    library.control()
    doubt = "f loans{} nothing proves that all came, as the API says no total"
    done = migrate("--dry-run")
    assert doubt.format("") in done.stdout + done.stderr
    assert query(host.directory / "live.db", "SELECT name FROM sqlite_master WHERE name = 'books'") == []

    faults = {"500": "page=2", "429": "after", "expire": "c20"}
    library.control(*({"kind": kind, "path": path} for kind, path in faults.items()))
    assert doubt.format(f" ({len(LOANS)} records)") in succeeded(migrate())
    live = host.directory / "live.db"
    books = query(live, "SELECT id, isbn, title, tags FROM books ORDER BY id")
    assert [(*row[:3], json.loads(str(row[3]))) for row in books] == [
        (book["id"], book["isbn"], book["title"], book["tags"]) for book in BOOKS
    ]
    copies = [(copy["id"], book["id"], copy["shelf"]) for book in BOOKS for copy in book["copies"]]
    assert query(live, "SELECT id, book_id, shelf FROM copies ORDER BY id") == copies
    ids = {book["isbn"]: book["id"] for book in BOOKS}
    rows = query(live, "SELECT id, book_id, copy_id, substr(lent_on, 1, 19), reader FROM loans ORDER BY id")
    assert rows == [
        (loan["id"], ids[loan["isbn"]], loan["copy"], loan["lentOn"].replace("T", " "), loan["reader"])
        for loan in LOANS
    ]
    assert query(live, "SELECT count(*) FROM loans WHERE due IS NULL") == [(0,)]
    assert all("sort=id" in line for line in library.asked if "/loans" in line)
    library.control()
    assert "Nothing to do" in succeeded(migrate())
    assert library.asked == []


KILL = "ENDPOINTS_KILL"


def kill_before_verify(when: str, step: str, _about: object) -> None:
    """A hook: ends this process as ``kill -9`` does."""
    if (when, step) == ("before", "verify") and KILL in os.environ:
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_run_that_was_killed_behind_its_load_does_not_read_the_api_again(host: SmallHost, library: Library) -> None:
    settings = settings_of(host, library) | {"FLASK_FERRY_HOOKS": f"{__name__}:kill_before_verify"}
    report = host.directory / "report.json"
    assert host.flask("db-migrate-data", "--yes", **settings, **{KILL: "yes"}).status == -signal.SIGKILL
    library.control()
    succeeded(host.flask("db-migrate-data", "--yes", "--report", str(report), **settings))
    assert not [line for line in library.asked if "page=2" in line or "after=" in line], library.asked
    copies = sum(len(book["copies"]) for book in BOOKS)
    assert json.loads(report.read_text())["gone_on_with"]["rows"] == len(BOOKS) + len(LOANS) + copies
    live = host.directory / "live.db"
    counts = [query(live, f"SELECT count(*) FROM {name}") for name in ("books", "loans", "copies")]
    assert counts == [[(len(BOOKS),)], [(len(LOANS),)], [(copies,)]]


def test_what_the_adapters_declare_by_now_decides(host: SmallHost, library: Library) -> None:
    settings = settings_of(host, library) | {"FLASK_FERRY_HOOKS": f"{__name__}:kill_before_verify"}
    assert host.flask("db-migrate-data", "--yes", **settings, **{KILL: "yes"}).status == -signal.SIGKILL
    with (host.directory / "shop" / "adapters.py").open("a") as file:
        file.write("\n# Another one.\n")
    done = succeeded(host.flask("db-migrate-data", "--yes", **settings))
    assert "Begun anew: run " in done


def test_records_come_no_faster_than_they_may(host: SmallHost, library: Library) -> None:
    report = host.directory / "report.json"
    options = ("--throttle", "40", "--report", str(report))
    succeeded(host.flask("db-migrate-data", "--yes", *options, **settings_of(host, library)))
    assert json.loads(report.read_text())["seconds"]["extract"] >= (len(BOOKS) + len(LOANS)) / 40

"""What the pages say is what the code does: commands, options, statuses, keys, forms, links, files."""

from __future__ import annotations

import ast
import functools
import re
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeGuard

import click
import orjson
import pytest
from flask import Flask

from app import errors
from app.commands import bp
from app.dialects.model import Column, Counter, LogicalType, Table, TableChecksum
from app.dialects.sqlite.dialect import SqliteDialect
from app.dialects.sqlite.names import url_of
from app.errors import VerificationFailed
from app.export import export_blueprint
from app.transfer.proof.verify import Before, verify_upgrade
from app.transfer.rows.encode import encode
from app.transfer.rows.header import AppliedProfile, Header
from app.transfer.run.settings import DEFAULTS
from app.transfer.schema.declarations import Declarations, read_declarations
from app.transfer.schema.listen import Heard
from handbook import drawing, reference
from handbook.hooks import link_repository
from tests.support.pages import find_blocks, take
from tests.support.site import ROOT

DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md"))])
GUIDE = (DOCS / "guide.md").read_text(encoding="utf-8")
COMMANDS = {name: command.load() for name, command in bp.cli.commands.items()}  # type: ignore[attr-defined]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def section(text: str, title: str) -> str:
    """The part under a heading that begins so, up to the next one of its level or above."""
    match = re.search(rf"^(#+) {re.escape(title)}.*$", text, re.MULTILINE)
    assert match, title
    end = re.search(rf"^#{{1,{len(match[1])}}} ", text[match.end() :], re.MULTILINE)
    return text[match.end() : match.end() + end.start()] if end else text[match.end() :]


def first_cells(text: str) -> list[str]:
    """The code in the first cells of a section's tables."""
    rows = re.findall(r"^\| (.*?) \|", text, re.MULTILINE)
    return [word for row in rows for word in re.findall(r"`([^`]+)`", row)]


# Commands and options


@pytest.mark.parametrize("page", sorted(reference.PAGES))
def test_the_reference_is_what_the_code_says(page: str) -> None:
    written = (reference.DIRECTORY / page).read_text(encoding="utf-8")
    assert written == reference.PAGES[page](), "make reference"


def test_the_picture_is_what_is_drawn_and_names_what_is_there() -> None:
    assert reference.PICTURE.read_text(encoding="utf-8") == drawing.draw_way(), "make reference"
    assert [place for _, place in drawing.WAY if not (ROOT / place).exists()] == []


def test_no_page_needs_a_network_to_be_read() -> None:
    """Material draws such a block with a script that it takes from another site."""
    assert [name for page, name in zip(PAGES, NAMES, strict=True) if "```mermaid" in page.read_text("utf-8")] == []
    shown = (re.findall(r"!\[[^\]]*\]\((https?:[^)]*)\)", page.read_text("utf-8")) for page in PAGES)
    assert [link for links in shown for link in links] == []


def test_the_guide_describes_every_command() -> None:
    assert set(re.findall(r"^### flask (\S+)", GUIDE, re.MULTILINE)) == set(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    assert all(p.help for p in command.params if isinstance(p, click.Option))


def spoken_of() -> Iterator[tuple[str, str]]:
    """Every flask command of ours that a page shows in a block or between back-ticks."""
    for page, name in zip(PAGES, NAMES, strict=True):
        text = page.read_text(encoding="utf-8")
        blocks = re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        lines = [line for block in blocks for line in block.splitlines()] + re.findall(r"`(flask db-[^`]*)`", text)
        for line in lines:
            line = line.removeprefix("$ ")
            if re.match("flask db-[a-z]", line):
                yield name, line.partition(" #")[0]


@pytest.mark.parametrize(("page", "line"), sorted(set(spoken_of())))
def test_commands_in_pages_can_be_typed(page: str, line: str) -> None:
    line = re.sub(r"\s*\[[^\]]*\]", "", line.replace("--allow-production`", "--allow-production"))
    _, name, *arguments = shlex.split(line)
    with COMMANDS[name].make_context(name, arguments):
        pass


def test_every_field_of_a_report_says_what_it_is() -> None:
    schema = orjson.loads((DOCS / "events.schema.json").read_bytes())
    [result] = [event for event in schema["oneOf"] if event["properties"]["event"].get("const") == "result"]
    plain = {name for name, field in result["properties"].items() if field is not True and "type" in field}
    assert {name for name in plain if "description" not in result["properties"][name]} == set()


# Keys


@pytest.mark.parametrize("page", NAMES)
def test_no_page_names_a_key_that_is_none(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert set(re.findall(r"\bFERRY_[A-Z_]+\b", text)) <= {*DEFAULTS, "FERRY_DEMO", *OF_BINDS}
    assert {key.removeprefix("FLASK_") for key in re.findall(r"\bFLASK_FERRY_[A-Z_]+\b", text)} <= {
        *DEFAULTS,
        *OF_BINDS,
    }


OF_BINDS = {"FERRY_SOURCE_DEFAULT", "FERRY_SOURCE_STATS", "FERRY_SOURCE_NAME"}
"""Keys of one database of the app, called so in the pages."""


# Messages

SOURCE = re.sub(
    r'"\s+f?"', "", "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "app").rglob("*.py")))
)
KINDS = {
    name: int(kind.exit_status)
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.FerryError)
}
TROUBLES = re.findall(r'^\| (".*?) \|', (DOCS / "troubleshooting.md").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("row", TROUBLES)
def test_every_message_that_is_explained_is_one(row: str) -> None:
    parts = [part.strip() for quoted in re.findall(r'"([^"]+)"', row) for part in quoted.split("...")]
    assert parts
    assert [part for part in parts if part not in SOURCE] == []
    statuses = {int(number) for number in re.findall(r"\b\d+\b", row.rpartition("(")[2])}
    raised = {status for status, words in errors_of_the_code() if all(part in words for part in parts)}
    assert not raised or raised & statuses, raised


@functools.cache
def errors_of_the_code() -> list[tuple[int, str]]:
    """Each error that the code makes by its name: its status, and all texts that it is made of."""
    return [
        (KINDS[node.func.id], "".join(constant.value for constant in ast.walk(node) if is_text(constant)))
        for path in sorted((ROOT / "app").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS
    ]


def is_text(node: ast.AST) -> TypeGuard[ast.Constant]:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


# What revisions declare


@pytest.mark.executes("docs/guide.md", "ferry_moves = {")
def test_the_example_of_declarations(tmp_path: Path) -> None:
    [block] = take("docs/guide.md", "ferry_moves = {")
    revision: dict[str, Any] = {}
    exec(block, revision)
    moves = {old: (new,) if isinstance(new, str) else new for old, new in revision["ferry_moves"].items()}
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    with closing(sqlite3.connect(old)) as connection, connection:
        connection.executescript(
            "CREATE TABLE posts (author); CREATE TABLE users (badges, fax); CREATE TABLE sessions (x);"
            "INSERT INTO posts VALUES (1); INSERT INTO users VALUES (1, 2); INSERT INTO sessions VALUES (1);"
        )
    with closing(sqlite3.connect(new)) as connection, connection:
        connection.executescript(
            "CREATE TABLE articles (writer); CREATE TABLE users (x); CREATE TABLE badges (x);"
            "CREATE TABLE user_badges (x); INSERT INTO articles VALUES ('changed'); INSERT INTO users VALUES ('other');"
        )
    dialect = SqliteDialect()
    with dialect.reader(url_of(old)) as before, dialect.reader(url_of(new)) as after:
        tables = before.tables()
        said = Declarations((moves,), revision["ferry_losses"])
        sums = dict.fromkeys(tables, TableChecksum(1, 0))
        verify_upgrade(Before(tables, sums, before.rows), after, said, Heard(), "head")
        incomplete = [({k: to for k, to in moves.items() if k != key}, said.losses) for key in moves]
        incomplete += [(moves, {k: why for k, why in said.losses.items() if k != key}) for key in said.losses]
        for fewer, less in incomplete:
            with pytest.raises(VerificationFailed):
                verify_upgrade(Before(tables, sums, before.rows), after, Declarations((fewer,), less), Heard(), "head")


@pytest.mark.executes("docs/guide.md", ".ferry_losses]")
def test_the_example_of_the_file_of_who_deploys(tmp_path: Path) -> None:
    file = tmp_path / "declarations.toml"
    file.write_text(take("docs/guide.md", ".ferry_losses]")[0])
    assert read_declarations(file)["4f2e1a"].losses == {"users.fax": "empty since 2019"}


# Formats


def document() -> dict[str, dict[str, object]]:
    table = Table("t", (Column("x", LogicalType.DECIMAL, length=1, scale=2),))
    header = Header(
        "rows",
        "s",
        "i",
        "2024-01-01T00:00:00Z",
        "1",
        (table,),
        profile=AppliedProfile("p", "d"),
        counters=(Counter("c", 5),),
        numbers={"user_version": 7},
        time_zone="UTC",
    )
    rows = b"".join(encode(header, [("t", [])]))
    records = b"".join(encode(Header("records", "s", "i", "2024-01-01T00:00:00Z", "1"), []))
    found = orjson.loads(rows)
    return {"Header": orjson.loads(records)["header"] | found["header"], "Footer": found["footer"]}


@pytest.mark.parametrize("part", ["Header", "Footer"])
def test_the_keys_of_a_snapshot_are_described(part: str) -> None:
    text = section((DOCS / "snapshot-format.md").read_text(encoding="utf-8"), part)
    assert set(first_cells(text)) == set(document()[part])


def test_the_keys_of_a_table_are_described() -> None:
    text = section((DOCS / "snapshot-format.md").read_text(encoding="utf-8"), "Header")
    [table] = document()["Header"]["tables"]  # type: ignore[misc] # a list of one
    assert all(f"`{key}`" in text for key in {*table, *table["columns"][0]})


def test_every_logical_type_has_a_form() -> None:
    text = section((DOCS / "snapshot-format.md").read_text(encoding="utf-8"), "Rows")
    described = set(first_cells(text)) | {"any"}
    assert described == {str(kind) for kind in LogicalType}
    assert "type `any`" in text


def test_the_requests_of_the_export_protocol_are_described() -> None:
    app = Flask(__name__)
    app.register_blueprint(export_blueprint(authorize=lambda: None))
    served = {f"GET {rule.rule}" for rule in app.url_map.iter_rules() if rule.endpoint.startswith("ferry_export")}
    text = (DOCS / "export-protocol.md").read_text(encoding="utf-8")
    assert {word for word in first_cells(text) if word.startswith("GET ")} == served


# Blocks


def list_claims() -> set[tuple[str, ...]]:
    """What tests say that they execute; each fails at its end where it did not: see tests/conftest.py."""
    claims = set()
    for path in sorted((ROOT / "tests").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)) if "mark.executes(" in text else ():
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.executes":
                claims.add(tuple(ast.literal_eval(argument) for argument in node.args))
    return claims


def test_every_block_of_every_page_is_executed_or_read_by_a_test() -> None:
    claimed = {block.text for page, *texts in list_claims() for block in find_blocks(page, *texts)}
    left = [f"{name}: {block.text}" for name in NAMES for block in find_blocks(name) if block.text not in claimed]
    assert left == []


# Links and files


@pytest.mark.parametrize(
    ("page", "repository", "link"),
    [
        ("adapters.md", "https://x.example", "[a](https://x.example/blob/HEAD/app/classic#b)"),
        ("adapters.md", "", "a"),
        ("decisions/README.md", "", "[a](../app/classic#b)"),
    ],
)
def test_links_into_the_repository_lead_there_or_nowhere(page: str, repository: str, link: str) -> None:
    assert link_repository("[a](../app/classic#b)", page, repository) == link
    assert link_repository("[a](guide.md#b) [c](#d) [e](https://f)", page, repository) == (
        "[a](guide.md#b) [c](#d) [e](https://f)"
    )


def slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


@pytest.mark.parametrize("page", NAMES)
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in map(slug, headings), target


@pytest.mark.parametrize("page", NAMES)
def test_files_that_are_named_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for name in re.findall(r"`((?:app|tests|docs|migrations|benchmarks)/[\w./-]*)`", text):
        assert (ROOT / name).exists(), name


def test_every_page_can_be_reached() -> None:
    linked: set[Path] = set()
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
            there = (page.parent / target).resolve()
            linked |= {there, there / "README.md"}
    assert {page for page in PAGES if page.is_relative_to(DOCS)} <= linked


def test_every_page_is_in_the_navigation_of_the_handbook() -> None:
    listed = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    pages = {str(page.relative_to(DOCS)) for page in PAGES if page.is_relative_to(DOCS)}
    of_decisions = {page for page in pages if page.startswith("decisions/")} - {"decisions/README.md"}
    assert set(listed) == pages - of_decisions


def test_every_room_of_the_engine_has_a_place_in_the_architecture() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    for hall in ("transfer", "dialects"):
        rooms = [path.parent for path in (ROOT / "app" / hall).glob("*/__init__.py")]
        assert len(rooms) >= 3
        for room in rooms:
            assert f"`app/{hall}/{room.name}/`" in text, room
            assert "Tested by" in (room / "__init__.py").read_text(encoding="utf-8"), room


@pytest.mark.parametrize("page", ["security.md", "guarantees.md"])
def test_every_test_that_a_page_names_is_there(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    # A test without a file is of the file before it.
    named, last = [], ""
    for path, test in re.findall(r"`(tests/[\w/.]+)?(?:::(\w+))?`", text):
        last = path or last
        named += [(last, test)] if path or test else []
    assert len(named) > 10
    for path, test in named:
        assert (ROOT / path).exists(), path
        assert not test or f"def {test}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path}::{test}"


def test_every_threat_of_the_page_on_security_has_a_test() -> None:
    threats, _, _ = (DOCS / "security.md").read_text(encoding="utf-8").partition("\n## ")
    rows = [line for line in threats.splitlines() if line.startswith("| ")]
    assert len(rows) > 25
    for row in rows[1:]:
        threat, defence, tests = (cell.strip() for cell in row.strip("| ").split(" | "))
        assert threat
        assert defence
        assert "`tests/" in tests, f"{threat}: which test shows it?"

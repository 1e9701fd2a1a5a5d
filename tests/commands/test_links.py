"""Messages name files of the documentation; from a wheel they are addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.message import Message

import pytest

from app.commands import links
from app.commands.hints import Typed
from app.commands.render import Output, Renderer
from tests.support.site import ROOT

DOCUMENTATION = "Documentation, https://code.example.com/ferry/blob/v1.2.3/docs/guide.md"


def install(monkeypatch: pytest.MonkeyPatch, *urls: str) -> None:
    fields = Message()
    for url in urls:
        fields["Project-URL"] = url
    monkeypatch.setattr(links, "metadata", lambda _name: fields)
    links.find_docs.cache_clear()


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    links.find_docs.cache_clear()


def test_a_file_is_an_address_where_the_package_has_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch, "Source, https://code.example.com/ferry", DOCUMENTATION)
    Renderer(Output(), Typed("flask", "db-status")).say("See docs/hosts.md, and (docs/guide.md).")
    base = "https://code.example.com/ferry/blob/v1.2.3/docs"
    assert capsys.readouterr().err == f"See {base}/hosts.md, and ({base}/guide.md).\n"
    for text in ("/srv/docs/hosts.md", "my-docs/hosts.md", "../docs/hosts.md", "docs/other.txt"):
        assert links.link_docs(text) == text


def test_without_an_address_it_stays_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    assert links.link_docs("See docs/hosts.md.") == "See docs/hosts.md."


def test_each_file_that_a_message_names_is_there() -> None:
    texts = (path.read_text(encoding="utf-8") for path in (ROOT / "app").rglob("*.py"))
    names = {name for text in texts for name in re.findall(r"(?<![\w/.-])docs/[a-z-]+\.md", text)}
    assert len(names) >= 4
    assert [name for name in names if not (ROOT / name).is_file()] == []

"""What is said of data that revisions drop or move, by them and by who deploys them."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.errors import Misconfigured
from app.transfer.schema.alembic import Schema
from app.transfer.schema.declarations import Declarations, Declared, combine, read_declarations, stanza

from .made import Made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "declarations.toml"


def test_both_ways_of_writing_it(file: Path) -> None:
    file.write_text(
        """
        ["4f2e1a"]
        ferry_losses = { "posts.legacy" = "unused" }
        ferry_moves = { "users.name" = ["users.first", "users.last"], old = "new" }

        ["0002".ferry_losses]
        "trigger noted" = "made by hand"
        """
    )
    assert read_declarations(file) == {
        "4f2e1a": Declared({"users.name": ("users.first", "users.last"), "old": ("new",)}, {"posts.legacy": "unused"}),
        "0002": Declared({}, {"trigger noted": "made by hand"}),
    }


@pytest.mark.parametrize("name", ["plain", "a.b", 'with "quotes"', "back\\slash", "line\nbreak", "ü😀", "a = 1 # [x]"])
def test_what_is_shown_to_be_pasted_says_what_it_should(file: Path, name: str) -> None:
    file.write_text(stanza({name: [name, "other"]}))
    assert read_declarations(file) == {name: Declared({}, {name: "why", "other": "why"})}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[", "not TOML"),
        ("\x00", "not TOML"),
        ("a = 1", r'\["a"\] is no table'),
        ('["x"]\nlosses = {}', "'losses', which means nothing"),
        ('["x"]\nferry_losses = ["a"]', "needs a reason"),
        ('["x"]\nferry_losses = {a = 1}', "'a' needs a reason"),
        ('["x"]\nferry_losses = {a = " "}', "'a' needs a reason"),
        ('["x"]\nferry_moves = {a = 1}', "'a' needs a name"),
        ('["x"]\nferry_moves = {a = []}', "'a' needs a name"),
        ('["x"]\nferry_moves = {a = ["b", 1]}', "'a' needs a name"),
        ('["x"]\nferry_moves = 1', "needs a name"),
        ("a = " + "[" * 5000, "not TOML"),
    ],
)
def test_a_file_that_says_something_else(file: Path, text: str, words: str) -> None:
    file.write_text(text)
    with pytest.raises(Misconfigured, match=words) as caught:
        read_declarations(file)
    assert str(file) in caught.value.message
    assert "ferry_losses" in str(caught.value.hint)


def test_a_file_that_cannot_be_read(tmp_path: Path, file: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(Misconfigured, match="cannot be read"):
            read_declarations(path)
    file.write_bytes(b"\xff")
    with pytest.raises(Misconfigured, match="not TOML"):
        read_declarations(file)
    file.write_bytes(b"#" * (5 << 20))
    with pytest.raises(Misconfigured, match="larger"):
        read_declarations(file)


def test_who_deploys_has_the_last_word() -> None:
    said = {"one": Declared({"a": ("b",)}, {"t": "old reason"}), "two": Declared()}
    besides = {"one": Declared({"a": ("c",)}, {"t": "new reason"}), "two": Declared({}, {"u": "gone"})}
    assert combine(["one", "two"], said, besides) == Declarations(
        ({"a": ("c",)}, {}), {"t": "new reason (revision one)", "u": "gone (revision two)"}
    )


def test_only_of_revisions_that_run(two: Made) -> None:
    schema = Schema(two.host, declared={"one": Declared({}, {"t": "why"}), "two": Declared({}, {"t.x": "why"})})
    assert schema.declarations("one").losses == {"t.x": "why (revision two)"}
    assert schema.declarations("two").losses == {}


def test_a_revision_that_is_not_there(two: Made) -> None:
    with pytest.raises(Misconfigured, match="'three', which is no revision"):
        Schema(two.host, declared={"three": Declared()}).declarations("one")


def test_what_is_accepted_for_one_run_keeps_the_reasons_of_others() -> None:
    declared = Declarations((), {"t": "why (revision one)"}).accepting(["t", "u"])
    assert declared.losses == {"t": "why (revision one)", "u": "--accept-loss"}
